"""What readiness and the status page make of migrations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fresh_databases import connected, emptied, settings_for

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.migrations.files import find, place_of
from datalayer.web import Answer, Endpoints
from datalayer.web import migrations_known as known_module

TOKEN = "a-token-of-these-tests"
NAMES = ("0001_first", "0002_second")


@pytest.fixture(scope="module")
def server(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with connected(settings_for(mongod)) as settings:
        yield settings


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "changes"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text("def apply(m): pass\n")
    return folder


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> str:
    """What connecting does about pending ones; ``require`` unless a test is given another."""
    return str(getattr(request, "param", "require"))


@pytest.fixture
def endpoints(server: Settings, files: Path, setting: str) -> Endpoints:
    """Of a process that was connected while all was applied."""
    emptied(server)
    registry.settings = Settings(
        databases={alias: server[alias].secret_uri() for alias in server},
        migrations=str(files),
        migrations_at_connect=setting,
    )
    return Endpoints(token=TOKEN)


def noted(name: str, files: Path, state: str = "applied", **more: Any) -> None:
    checksums = {each.name: each.checksum for each in find(place_of(str(files)))}
    entry = {"_id": name, "state": state, "run": "r", "checksum": checksums.get(name, ""), **more}
    history = registry.connection("default").database.datalayer_migrations
    history.insert_one({"direction": "undo" if state.startswith("und") else "apply", **entry})


def ready(endpoints: Endpoints) -> tuple[int, list[str]]:
    answer = endpoints.readyz(detailed=True)
    return answer.status, json.loads(answer.body).get("notes", [])


def page(endpoints: Endpoints) -> str:
    answer: Answer = endpoints.status_page(authorised=True)
    assert answer.status == 200
    return answer.body.decode()


def test_a_process_whose_migrations_are_applied_is_ready(
    endpoints: Endpoints, files: Path
) -> None:
    for name in NAMES:
        noted(name, files)
    assert ready(endpoints) == (200, [])


@pytest.mark.parametrize(
    ("setting", "status", "told"),
    [("require", 503, True), ("warn", 200, True), ("ignore", 200, False)],
    indirect=["setting"],
)
def test_pending_ones_make_a_process_unready_only_where_they_are_required(
    endpoints: Endpoints, files: Path, setting: str, status: int, *, told: bool
) -> None:
    noted("0001_first", files)
    notes = ["migrations: not applied: 0002_second"] if told else []
    assert ready(endpoints) == (status, notes)


def test_what_was_found_is_kept_for_whoever_must_not_ask(
    endpoints: Endpoints, files: Path
) -> None:
    noted("0001_first", files)
    endpoints.readyz()
    assert registry.pending_migrations == 1


def test_a_migration_that_has_failed_makes_it_unready(endpoints: Endpoints, files: Path) -> None:
    noted("0001_first", files)
    noted("0002_second", files, "failed")
    assert ready(endpoints) == (503, ["migrations: begun and not finished: 0002_second"])


@pytest.mark.parametrize("state", ["applying", "applied", "undoing"])
def test_a_migration_of_later_code_is_no_hindrance_while_that_is_rolled_out(
    endpoints: Endpoints, files: Path, state: str
) -> None:
    for name in NAMES:
        noted(name, files)
    noted("0003_of_later_code", files, state)
    assert ready(endpoints) == (200, [])


def test_files_that_a_deployment_puts_in_their_place_are_not_this_processs(
    endpoints: Endpoints, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_module, "ASKED_EVERY_SECONDS", 0.0)
    for name in NAMES:
        noted(name, files)
    assert ready(endpoints)[0] == 200
    (files / "0003_of_later_code.py").write_text("def apply(m): pass\n")
    assert ready(endpoints) == (200, [])


def test_an_edited_one_is_told_and_no_hindrance(endpoints: Endpoints, files: Path) -> None:
    for name in NAMES:
        noted(name, files)
    (files / "0002_second.py").write_text("def apply(m): print()\n")
    notes = ["migrations: edited since they were applied: 0002_second"]
    assert ready(endpoints) == (200, notes)


def test_the_history_is_asked_seldom(endpoints: Endpoints, files: Path, server: Settings) -> None:
    for name in NAMES:
        noted(name, files)
    assert ready(endpoints)[0] == 200
    registry.connection("default").database.datalayer_migrations.delete_many({})
    assert ready(endpoints) == (200, [])  # what is known is a moment old


def test_a_history_that_hangs_keeps_nobody_waiting_and_nobody_unready(
    endpoints: Endpoints, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = known_module.threading.Event()
    monkeypatch.setattr(known_module, "checked", lambda _: hanging.wait(30))
    endpoints = Endpoints(token=TOKEN, timeout_seconds=0.3)
    try:
        assert ready(endpoints) == (200, [])
        assert "the history did not answer in time" in page(endpoints)
    finally:
        hanging.set()


def test_a_folder_without_any_is_not_shown(endpoints: Endpoints, files: Path) -> None:
    for each in files.iterdir():
        each.unlink()
    assert ready(endpoints) == (200, [])
    assert "Migrations" not in page(endpoints)


def test_nobody_is_asked_where_migrations_are_ignored_or_there_are_none(
    server: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    db.connect_all(server)
    monkeypatch.chdir(tmp_path)
    registry.settings = server
    endpoints = Endpoints(token=TOKEN)
    assert ready(endpoints) == (200, [])
    assert "Migrations" not in page(endpoints)


def test_the_page_shows_what_is_not_applied(endpoints: Endpoints, files: Path) -> None:
    noted("0001_first", files)
    shown = page(endpoints)
    assert "Migrations are not applied that this code needs" in shown
    assert "not applied: 0002_second" in shown


@pytest.mark.parametrize("setting", ["ignore"], indirect=True)
def test_the_page_says_what_to_do_about_one_that_was_stopped(
    endpoints: Endpoints, files: Path
) -> None:
    noted("0001_first", files, "applying")
    shown = page(endpoints)
    assert "0001_first was stopped or has failed, and nobody is at work on it" in shown
    assert "1 not applied; <code>datalayer migrations plan</code>" in shown


def test_the_json_has_them(endpoints: Endpoints, files: Path) -> None:
    noted("0001_first", files)
    told = json.loads(endpoints.status_json(authorised=True).body)["migrations"]
    assert told["at_connect"] == "require"
    assert told["check"]["pending"] == ["0002_second"]
