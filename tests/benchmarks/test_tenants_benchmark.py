"""The benchmark of tenants in small: nothing is misplaced, and a hundred databases take no more
threads, connections and memory than one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, model_registry
from paths import ROOT
from pymongo import MongoClient

from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

sys.path.append(str(ROOT))  # `benchmarks` is not installed with the package

tenants = importlib.import_module("benchmarks.tenants")
THREADS = 8


@pytest.fixture
def client(mongod: EmbeddedMongo, database_name: str) -> Iterator[MongoClient[Any]]:
    options = {"uri": mongod.uri_for(database_name), "max_pool_size": THREADS}
    with (
        model_registry(tenants.Order),
        connected(Settings(databases={"default": options})),
        MongoClient[dict[str, Any]](mongod.uri) as client,
    ):
        yield client


def test_nothing_is_misplaced_and_nothing_grows(client: MongoClient[Any]) -> None:
    figures = tenants.many(client, 25, THREADS)
    assert [each.name for each in figures if not each.holds] == []


def test_the_timings_compare_the_same_work(client: MongoClient[Any]) -> None:
    assert tenants.first(client, 1).unit == "ms"
    assert len(tenants.later(client, 1)) == 2
