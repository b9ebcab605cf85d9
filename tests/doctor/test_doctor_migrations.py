"""What the doctor says of migrations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer.doctor import examine
from datalayer.embedded import EmbeddedMongo
from datalayer.migrations.files import find, place_of
from datalayer.settings import Settings

History = Collection[dict[str, Any]]
Note = Callable[..., None]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "changes"
    folder.mkdir()
    for name in ("0001_first", "0002_second"):
        (folder / f"{name}.py").write_text("def apply(m): pass\n")
    return folder


@pytest.fixture
def history(mongod: EmbeddedMongo, database_name: str) -> Iterator[History]:
    with MongoClient[dict[str, Any]](mongod.uri_for(database_name)) as client:
        yield client[database_name].datalayer_migrations


@pytest.fixture
def note(history: History, files: Path) -> Note:
    """Writes an entry of the history."""
    checksums = {each.name: each.checksum for each in find(place_of(str(files)))}

    def insert(name: str, state: str = "applied", **more: Any) -> None:
        checksum = checksums.get(name, "of a file that is gone")
        entry = {"state": state, "direction": "apply", "run": "r", "checksum": checksum}
        history.insert_one({"_id": name, **entry, **more})

    return insert


def told(uri: str, files: Path | str, at_connect: str = "ignore") -> list[tuple[str, str, str]]:
    settings = Settings(
        databases={"default": uri}, migrations=str(files), migrations_at_connect=at_connect
    )
    found = examine(settings).of("migrations")
    assert {each.alias for each in found} == {"default"}
    return [(each.severity, each.saw, each.advice) for each in found]


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_where_there_are_none_that_is_all_right(uri: str, tmp_path: Path, folder: str) -> None:
    ((severity, saw, _),) = told(uri, tmp_path / folder)
    assert severity == "ok"
    assert saw.startswith("there are none")


def test_all_applied(uri: str, files: Path, note: Note) -> None:
    note("0001_first")
    note("0002_second")
    assert told(uri, files) == [("ok", "2 migrations, all applied", "")]


@pytest.mark.parametrize(
    ("at_connect", "severity"), [("ignore", "warning"), ("warn", "warning"), ("require", "error")]
)
def test_pending_ones(uri: str, files: Path, note: Note, at_connect: str, severity: str) -> None:
    note("0001_first")
    ((found, saw, advice),) = told(uri, files, at_connect)
    assert (found, saw) == (severity, "not applied: 0002_second")
    assert "`datalayer migrations plan`" in advice


def test_one_that_has_failed_is_told_with_its_reason(uri: str, files: Path, note: Note) -> None:
    note("0001_first")
    note("0002_second", "failed", error="KeyError in line 3")
    ((severity, saw, advice),) = told(uri, files)
    assert (severity, saw) == ("error", "0002_second has failed: KeyError in line 3")
    assert "`datalayer migrations apply` goes on with it" in advice


def test_one_that_was_stopped_or_whose_runner_is_gone(uri: str, files: Path, note: Note) -> None:
    note("0001_first", "undoing", direction="undo")
    note("0002_second")
    ((severity, saw, advice),) = told(uri, files)
    assert (severity, saw) == ("error", "0001_first was stopped while it was undoing")
    assert "`datalayer migrations undo` goes on with it" in advice


def test_a_runner_at_work_is_named(uri: str, files: Path, note: Note, history: History) -> None:
    note("0001_first", "applying", began_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    note("0002_second")
    until = datetime.now(UTC) + timedelta(hours=1)
    history.insert_one({"_id": "lease", "token": 3, "holder": "host:42", "until": until})
    ((severity, saw, advice),) = told(uri, files)
    assert (severity, saw) == (
        "note",
        "host:42 is applying 0001_first, since 2026-01-02 03:04 UTC",
    )
    assert "should it hang, end that process" in advice


def test_files_that_were_edited_or_are_gone(uri: str, files: Path, note: Note) -> None:
    note("0001_first", checksum="another")
    note("0002_second")
    (files / "0002_second.py").unlink()
    (files / "0002_third.py").write_text("def apply(m): pass\n")
    assert [saw for _, saw, _ in told(uri, files)] == [
        "not applied: 0002_third",
        "0001_first was edited after it was applied",
        "0002_second is applied, and its file is gone",
    ]


def test_files_that_are_not_as_they_should_be(uri: str, files: Path) -> None:
    (files / "0002_again.py").write_text("def apply(m): pass\n")
    ((severity, saw, _),) = told(uri, files)
    assert severity == "error"
    assert "have the same number" in saw


def test_a_server_that_is_away_leaves_them_unknown(files: Path, closed_port: int) -> None:
    settings = Settings(
        databases={"default": f"mongodb://127.0.0.1:{closed_port}/shop"}, migrations=str(files)
    )
    (finding,) = examine(settings, timeout=2).of("migrations")
    assert finding.severity == "skipped"
