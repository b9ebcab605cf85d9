"""Empty collections for each test of documents in part."""

from __future__ import annotations

import pytest

from datalayer.connections.registry import registry
from datalayer.settings import Settings


@pytest.fixture(autouse=True)
def databases(shared: Settings) -> None:
    for alias in shared:
        database = registry.connection(alias).database
        for name in database.list_collection_names():
            database[name].delete_many({})  # sooner than to drop and build them
