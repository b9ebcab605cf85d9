"""The management commands: those of the ``datalayer`` command, with the project's settings."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django_in_process import django_site

from datalayer.embedded import EmbeddedMongo

AWAY = {
    "MONGODB_URI": "mongodb://127.0.0.1:9/away",
    "MONGODB_SERVER_SELECTION_TIMEOUT_MS": 200,
}


@pytest.fixture
def site(uris: dict[str, str], database_name: str) -> Iterator[str]:
    """The project on the test server; the name of its main database."""
    with django_site(DATALAYER=uris):
        yield database_name


def told(*words: str) -> str:
    """What a command writes to standard output."""
    output = io.StringIO()
    call_command(*words, stdout=output, stderr=io.StringIO())
    return output.getvalue()


def answer(*words: str) -> Any:
    return json.loads(told(*words, "--json"))


def ended_with(*words: str) -> tuple[int, str]:
    """A command's exit code and what it says besides."""
    said = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command(*words, stdout=io.StringIO(), stderr=said)
    return caught.value.returncode, said.getvalue()


def test_status_tells_of_the_projects_databases(site: str) -> None:
    assert answer("datalayer_status")["default"]["database"] == site


def test_ping_takes_the_options_of_the_command(site: str) -> None:
    assert answer("datalayer_ping", "--count", "2")["database1"]["answered"] == 2


def test_config_tells_which_values_are_from_the_project(site: str) -> None:
    rows = {row["variable"]: row for row in answer("datalayer_config")["settings"]}
    assert rows["MONGODB_URI"]["source"] == "override"
    assert rows["MONGODB_MAX_POOL_SIZE"]["source"] == "default"


def test_doctor_examines_the_projects_databases(site: str) -> None:
    report = answer("datalayer_doctor")
    assert report["healthy"] is True
    assert {"default", "database1"} <= {each["alias"] for each in report["findings"]}


def test_indexes_compares_the_models_of_the_projects_applications(site: str) -> None:
    code, _ = ended_with("datalayer_indexes", "diff")
    assert code == 3
    told("datalayer_indexes", "sync")
    assert answer("datalayer_indexes", "diff") == {"default": [], "database1": []}


def test_schema_checks_the_models_of_the_projects_applications(site: str) -> None:
    assert answer("datalayer_schema", "check") == []


def test_transfer_knows_the_projects_databases(site: str) -> None:
    assert answer("datalayer_transfer", "list") == {"transfers": []}


def test_migrations_are_those_that_the_project_names(uris: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "0001_nothing.py").write_text("def apply(m): pass\n")
    with django_site(DATALAYER={**uris, "DATALAYER_MIGRATIONS": str(tmp_path)}):
        assert ended_with("datalayer_migrations", "check")[0] == 3
        told("datalayer_migrations", "apply", "--yes")
        told("datalayer_migrations", "check")


def test_outbox_tells_what_waits(site: str) -> None:
    assert answer("datalayer_outbox", "show")["waiting"] == 0


def test_top_shows_one_view(site: str) -> None:
    assert set(answer("datalayer_top", "--once")["databases"]) == {"default", "database1"}


def test_the_whole_command_is_there_under_its_own_name(site: str) -> None:
    assert answer("datalayer", "status").keys() == {"default", "database1"}


def test_an_option_beats_the_projects_settings(site: str, mongod: EmbeddedMongo) -> None:
    uri = mongod.uri_for(f"{site}_2")
    assert answer("datalayer_status", "--uri", uri)["default"]["database"] == f"{site}_2"


def test_a_database_that_is_away_is_exit_code_3() -> None:
    with django_site(DATALAYER=AWAY):
        code, said = ended_with("datalayer_status", "--timeout", "0.5")
    assert code == 3
    assert "default: required and unavailable" in said


def test_wrong_settings_are_exit_code_2_and_told() -> None:
    with django_site(DATALAYER={"MONGODB_URL": "mongodb://localhost/app"}):
        code, said = ended_with("datalayer_config")
    assert code == 2
    assert "did you mean MONGODB_URI?" in said


def test_an_unknown_option_is_exit_code_2(site: str) -> None:
    code, said = ended_with("datalayer_status", "--tiemout", "1")
    assert code == 2
    assert "--tiemout" in said


def test_the_help_is_that_of_the_command(site: str) -> None:
    text = told("datalayer_status", "--help")
    assert text.startswith("usage: manage.py datalayer status")
    assert "--timeout SECONDS" in text


@pytest.mark.parametrize(
    "name",
    [
        "status", "ping", "doctor", "config", "indexes", "schema", "migrations", "shard", "outbox",
        "transfer", "top",
    ],
)  # fmt: skip
def test_each_command_says_what_it_does(site: str, name: str) -> None:
    assert load_command_class("datalayer.contrib.django", f"datalayer_{name}").help
