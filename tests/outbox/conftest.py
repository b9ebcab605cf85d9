"""Two sources and two targets on one server, connected once for each file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from deliveries import Box, Note
from fresh_databases import connected, model_registry
from places import cleared

from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

ALIASES = ("default", "shop", "database1", "archive")


@pytest.fixture(scope="module")
def connected_databases(mongod: EmbeddedMongo) -> Iterator[Settings]:
    run = uuid.uuid4().hex[:10]
    uris = {alias: mongod.uri_for(f"test_{alias}_{run}") for alias in ALIASES}
    with model_registry(Note, Box), connected(Settings(databases=uris)) as settings:
        yield settings


@pytest.fixture
def databases(connected_databases: Settings) -> Settings:
    cleared(connected_databases)
    return connected_databases
