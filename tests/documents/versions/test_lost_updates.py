"""Threads that change the same documents lose no change with versions, and some without.

``DATALAYER_LOST_UPDATES_SECONDS=60 pytest -s tests/documents/versions/test_lost_updates.py``
does it for a minute, and the control beside it, which then loses some by chance.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import mongoengine as me
import pytest
from fresh_databases import connected, model_registry, settings_for

from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import StaleDocumentError

SECONDS = float(os.environ.get("DATALAYER_LOST_UPDATES_SECONDS", "0.3"))
THREADS, DOCUMENTS = 16, 10

with model_registry():

    class Account(Document):
        balance = me.IntField(default=0)
        meta = {"versioned": True}

    class Careless(Document):
        balance = me.IntField(default=0)


@pytest.fixture(scope="module", autouse=True)
def databases(mongod: EmbeddedMongo) -> Iterator[None]:
    settings = settings_for(mongod, "default", max_pool_size=THREADS)
    with model_registry(Account, Careless), connected(settings):
        yield


def raw(model: Any) -> Any:
    return registry.connection("default").database[model._get_collection_name()]


def add_one(account: Any) -> None:
    account.balance += 1


def add_in_turns(model: Any, change: Callable[[Any], Any]) -> tuple[int, int]:
    """How many changes 16 threads have made of 10 documents, and the sum that came of it."""
    keys = [model().save().pk for _ in range(DOCUMENTS)]
    made, ends = [0] * THREADS, monotonic() + SECONDS

    def work(number: int) -> None:
        turn = number
        while monotonic() < ends:
            turn += 1
            try:
                change(keys[turn % DOCUMENTS])
            except StaleDocumentError:
                continue
            made[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(made), sum(each["balance"] for each in raw(model).find())


def test_threads_that_change_the_same_documents_lose_nothing() -> None:
    made, stored = add_in_turns(Account, lambda key: Account.change(key, add_one))
    print(f"versioned, {SECONDS:g} s: {made} changes, {stored} stored")
    assert made == stored > 0
    versions = sum(each["version"] - 1 for each in raw(Account).find())
    assert versions == made


def test_without_versions_one_of_two_changes_is_lost() -> None:
    """The control: both have loaded before either saves."""
    raw(Careless).delete_many({})
    key = Careless().save().pk
    first, second = Careless.objects.get(pk=key), Careless.objects.get(pk=key)
    for found in (first, second):
        found.balance += 1
        found.save()
    assert raw(Careless).find_one()["balance"] == 1


@pytest.mark.skipif(
    SECONDS < 5, reason="by luck: with DATALAYER_LOST_UPDATES_SECONDS of 5 or more"
)
def test_without_versions_threads_lose_some() -> None:
    raw(Careless).delete_many({})

    def change(key: Any) -> None:
        found = Careless.objects.get(pk=key)
        found.balance += 1
        found.save()

    made, stored = add_in_turns(Careless, change)
    print(f"not versioned, {SECONDS:g} s: {made} changes, {stored} stored")
    assert stored < made
