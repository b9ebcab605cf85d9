"""One connection in each kind of place, empty databases for each test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, model_registry
from ledger import MODELS
from places import Place, cleared
from pymongo import MongoClient

from datalayer import db
from datalayer.settings import Settings


@pytest.fixture(scope="module")
def models(request: pytest.FixtureRequest) -> tuple[type, ...]:
    """A file's own, or those of the ledger."""
    return getattr(request.module, "MODELS", MODELS)


@pytest.fixture(scope="module")
def shared(place: Place, models: tuple[type, ...]) -> Iterator[Settings]:
    with model_registry(*models), connected(place.settings()) as settings:
        yield settings


@pytest.fixture
def databases(shared: Settings, models: tuple[type, ...]) -> Iterator[Settings]:
    with model_registry(*models):
        cleared(shared)
        yield shared


@pytest.fixture
def apart(place: Place, database_name: str, models: tuple[type, ...]) -> Iterator[str]:
    """The name of a database for connections of a test's own."""
    db.disconnect_all()
    with model_registry(*models):
        yield database_name
    db.disconnect_all()
    with MongoClient[dict[str, Any]](place.uri) as client:
        client.drop_database(database_name)
