"""One connection for the tests of a file, empty databases and no models for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fresh_databases import connected, emptied, model_registry, settings_for

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(), connected(settings_for(mongod)) as made:
        yield made


@pytest.fixture
def settings(shared: Settings) -> Iterator[Settings]:
    """Connected, to empty databases."""
    with model_registry():
        if registry.settings != shared:
            db.disconnect_all()
            db.connect_all(shared)
        emptied(shared)
        yield shared
