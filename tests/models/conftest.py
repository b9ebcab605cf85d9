"""One connection for the tests of the models, empty databases for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fresh_databases import connected, emptied, settings_for

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.models import User
from datalayer.settings import Settings


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with connected(settings_for(mongod)) as made:
        yield made


@pytest.fixture(autouse=True)
def databases(shared: Settings) -> Settings:
    db.connect_all(shared)
    emptied(shared)
    return shared


@pytest.fixture
def ann() -> User:
    return User(email="ann@example.com").save()


@pytest.fixture
def bob() -> User:
    return User(email="bob@example.com").save()
