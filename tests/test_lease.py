"""One holder at a time, by the server's clock, and a larger token for each."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError
from datalayer.lease import Lease, LeaseDocument, holding


class BusyError(DataLayerError):
    """Another holds it."""


class LostError(DataLayerError):
    """It is gone."""


class Task(LeaseDocument):
    def __init__(self, collection: Collection[Any]) -> None:
        super().__init__("task")
        self.collection = collection

    @property
    def leased(self) -> Collection[Any]:
        return self.collection

    def busy(self) -> DataLayerError:
        return BusyError(f"held by {self.held_by()[0]}")

    def lost(self) -> DataLayerError:
        return LostError("gone")


@pytest.fixture
def collection(mongod: EmbeddedMongo) -> Any:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.test_lease.drop_collection("tasks")
        yield client.test_lease.tasks


def hold(document: LeaseDocument, seconds: float = 30) -> Any:
    return holding(Lease(document, seconds), seconds)


def test_one_holds_it_and_the_next_gets_a_larger_token(collection: Collection[Any]) -> None:
    one, other = Task(collection), Task(collection)
    one.ensure()
    other.ensure()
    with hold(one) as lease:
        assert lease.token == 1
        with pytest.raises(BusyError, match=r"held by .+:\d+"):
            other.acquire(30)
    assert one.held_by() == (None, 0.0)
    with hold(other) as lease:
        assert lease.token == 2


def test_who_was_overtaken_has_lost_it(collection: Collection[Any]) -> None:
    one, other = Task(collection), Task(collection)
    one.ensure()
    one.acquire(30)
    collection.update_one({}, {"$set": {"until": None}})  # as if it had run out
    other.acquire(30)
    assert one.renew(30) is False
    one.release()
    assert collection.count_documents(other.mine()) == 1


def test_nothing_is_begun_without_the_lease(collection: Collection[Any]) -> None:
    task = Task(collection)
    task.ensure()
    with hold(task, 0.2) as lease:
        lease.stop()
        with pytest.raises(LostError), lease.time():
            collection.find_one({"$where": "while (true) {}"})
        with pytest.raises(LostError), lease.time():
            pytest.fail("nothing is done without the lease")
