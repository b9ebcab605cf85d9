"""``doctor`` on the command line; what it finds is tested with ``datalayer.doctor``."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import Run

from datalayer.doctor import CHECKS

QUICK = ("--timeout", "2", "--database1-uri", "mongomock://numbers")


def test_it_shows_every_check_with_what_it_saw(run: Run, uri: str) -> None:
    outcome = run("doctor", "--uri", uri)
    first_words = {line.split(" ")[0] for line in outcome.stdout.splitlines() if line}
    assert outcome.code == 0
    assert set(CHECKS) - first_words == set()


def test_it_exits_with_3_where_something_is_broken(run: Run, closed_port: int) -> None:
    outcome = run("doctor", "--uri", f"mongodb://127.0.0.1:{closed_port}/shop", *QUICK)
    assert outcome.code == 3
    assert f"127.0.0.1:{closed_port} refuses connections" in outcome.stdout


def test_wrong_settings_are_a_finding(run: Run) -> None:
    outcome = run("doctor", "--uri", "mongodb://joe:hunter2@localhost", *QUICK)
    assert outcome.code == 3
    assert "MONGODB_URI names no database" in outcome.stdout
    assert "hunter2" not in outcome.stdout + outcome.stderr


def test_json_is_the_report(run: Run, closed_port: int) -> None:
    words = ("--uri", f"mongodb://127.0.0.1:{closed_port}/shop", *QUICK)
    document = run("doctor", "--json", *words).document
    assert document["healthy"] is False
    assert {finding["check"] for finding in document["findings"]} == set(CHECKS)


def test_models_are_imported_before(run: Run, tmp_path: Path) -> None:
    (tmp_path / "marked_models.py").write_text("open('imported', 'w').close()")
    run("doctor", "--models", "marked_models", "--uri", "mongomock://shop", *QUICK)
    assert (tmp_path / "imported").exists()


@pytest.mark.parametrize("processes", ["0", "many"])
def test_the_number_of_processes_is_at_least_one(run: Run, processes: str) -> None:
    assert run("doctor", "--processes", processes).code == 2


MODELS = """
from mongoengine import StringField
from datalayer.documents import Document


class Own(StringField):
    def to_python(self, value):
        return value


class Plain(Document):
    text = StringField()
    own = Own()


class Initialised(Document):
    def __init__(self, *args, **values):
        super().__init__(*args, **values)
"""


def test_it_tells_what_the_engine_leaves_to_mongoengine(run: Run, tmp_path: Path) -> None:
    (tmp_path / "explained_models.py").write_text(MODELS)
    outcome = run("doctor", "--json", "--documents", "--models", "explained_models")
    told = {each["model"]: each for each in outcome.document["models"]}
    assert outcome.code == 0
    assert told["Plain"]["reason"] is None
    assert told["Plain"]["fields"] == {"own": "Own has its own to_python"}
    assert told["Initialised"]["reason"] == "it has its own __init__"


def test_it_tells_that_as_a_table_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shown_models.py").write_text(MODELS)
    outcome = run("doctor", "--documents", "--models", "shown_models")
    assert "MongoEngine: it has its own __init__" in outcome.stdout
