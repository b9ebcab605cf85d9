"""Spans that are kept in memory, of databases on a shared server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fresh_databases import connected, emptied, model_registry, settings_for
from spans import Exported

from datalayer import Settings, db
from datalayer.contrib import opentelemetry
from datalayer.embedded import EmbeddedMongo


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(), connected(settings_for(mongod)) as settings:
        yield settings


@pytest.fixture
def exported() -> Iterator[Exported]:
    """Nothing is traced before ``instrument_traces``, and nothing afterwards."""
    exported = Exported()
    yield exported
    opentelemetry.uninstrument_traces()
    exported.provider.shutdown()


@pytest.fixture
def databases(shared: Settings) -> Settings:
    """They are connected, and not traced yet."""
    db.connect_all(shared)  # a test with a connection of its own may have been before
    emptied(shared)
    return shared


@pytest.fixture
def traced(databases: Settings, exported: Exported) -> Exported:
    """The databases are traced."""
    opentelemetry.instrument_traces(exported.provider)
    return exported
