"""Files of migrations in a folder of the test's own, and two databases on one server, connected
once for all tests of a module and emptied for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from fresh_databases import connected, emptied, model_registry, settings_for
from migration_files import Write

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory's ``migrations``."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "migrations"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes the file of a migration, which does nothing if nothing is said."""

    def write_file(name: str, text: str = "def apply(m): pass\ndef undo(m): pass\n") -> Path:
        path = folder / f"{name}.py"
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_file


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(), connected(settings_for(mongod)) as settings:
        yield settings


@pytest.fixture
def databases(shared: Settings) -> Settings:
    """``default`` and ``database1``, connected and empty."""
    db.connect_all(shared)
    emptied(shared)
    return shared
