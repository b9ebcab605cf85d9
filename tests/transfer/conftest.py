"""Three databases on two clusters, connected once for all tests here and emptied for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fresh_databases import connected, model_registry
from moving import Databases
from shared_servers import shared_server

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings


@pytest.fixture(scope="session")
def one_cluster() -> Iterator[EmbeddedMongo]:
    """A cluster of these tests' own."""
    with shared_server() as server:
        yield server


@pytest.fixture(scope="session")
def other_cluster() -> Iterator[EmbeddedMongo]:
    with shared_server() as server:
        yield server


@pytest.fixture(scope="module")
def shared(one_cluster: EmbeddedMongo, other_cluster: EmbeddedMongo) -> Iterator[Settings]:
    settings = Settings(
        databases={
            "default": one_cluster.uri_for("test_transfer_default"),
            "database1": one_cluster.uri_for("test_transfer_database1"),
            "archive": other_cluster.uri_for("test_transfer_archive"),
        }
    )
    with model_registry(), connected(settings):
        yield settings


@pytest.fixture
def databases(shared: Settings) -> Databases:
    """``default`` and ``database1`` share a cluster, ``archive`` is on another."""
    db.connect_all(shared)
    made = Databases(shared)
    made.empty()
    return made
