"""Two databases on one server, connected once for all tests here and emptied for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, model_registry
from making_migrations import Migrate

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.migrations.steps import Migration
from datalayer.settings import Settings


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    settings = Settings(
        databases={
            "default": mongod.uri_for("test_steps_default"),
            "database1": mongod.uri_for("test_steps_database1"),
        }
    )
    with model_registry(), connected(settings):
        yield settings


@pytest.fixture
def database(shared: Settings) -> Any:
    """The database of ``default``."""
    db.connect_all(shared)
    for alias in shared:
        one = registry.connection(alias).database
        for name in one.list_collection_names(filter={"name": {"$not": {"$regex": "^system"}}}):
            one.drop_collection(name)
    with model_registry():
        yield registry.connection("default").database


@pytest.fixture
def migrate(database: Any) -> Migrate:
    """Makes an ``m``; each is a run of its own unless told otherwise."""
    runs = iter(range(100))

    def made(run: str | None = None, name: str = "0001_change", **options: Any) -> Migration:
        run = run or f"run{next(runs)}"
        return Migration(name, run, options.pop("direction", "apply"), lease=None, **options)

    return made
