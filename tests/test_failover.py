"""What writers see when the primary is killed, steps down or hangs: nothing acknowledged is lost,
nothing is written twice, and each error says whether there was an effect."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from bson import ObjectId
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    DataLayerError,
    DeadlineExceededError,
    OutcomeUnknownError,
    UnavailableError,
)
from datalayer.settings import Settings

pytestmark = pytest.mark.slow


class Payment(Document):
    writer = IntField()


@dataclass(frozen=True)
class Call:
    """One write: when it began and ended, which document it was, and what came of it."""

    key: ObjectId
    began: float
    ended: float
    error: Exception | None


@dataclass
class Writers:
    """Threads that write one document after the other until they are told to stop."""

    write: Callable[[ObjectId], object]
    count: int = 4
    calls: list[Call] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[Writers]:
        threads = [threading.Thread(target=self._work) for _ in range(self.count)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a writer hangs"

    def _work(self) -> None:
        while not self._stop.is_set():
            key, began, error = ObjectId(), time.monotonic(), None
            try:
                self.write(key)
            except (PyMongoError, DataLayerError) as exc:
                error = exc
            self.calls.append(Call(key, began, time.monotonic(), error))

    def wait_for_successes(self, number: int) -> None:
        """Until so many more writes have succeeded."""
        wanted = number + len(self.succeeded)
        ends = time.monotonic() + 60
        while len(self.succeeded) < wanted:
            assert time.monotonic() < ends, "the writers don't get on"
            time.sleep(0.01)

    @property
    def succeeded(self) -> list[Call]:
        return [call for call in list(self.calls) if call.error is None]

    @property
    def failed(self) -> list[Call]:
        return [call for call in list(self.calls) if call.error is not None]

    def gap(self) -> float:
        """The longest time without an acknowledged write, in seconds."""
        ends = sorted(call.ended for call in self.succeeded)
        return max(later - earlier for earlier, later in itertools.pairwise(ends))


@pytest.fixture
def settings(replset: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(Payment), connected(settings_for(replset)) as settings:
        Payment(writer=0).save()
        yield settings


def pay(key: ObjectId) -> None:
    Payment(id=key, writer=1).save(force_insert=True)


def pay_within_two_seconds(key: ObjectId) -> None:
    with db.deadline(2):
        pay(key)


def stored(replset: EmbeddedMongo, settings: Settings) -> Counter[ObjectId]:
    """How often each document is there, as a majority of the members knows it."""
    with MongoClient[dict[str, Any]](replset.uri) as client:
        payments = client[settings["default"].database].get_collection(
            "payment", read_concern=ReadConcern("majority")
        )
        return Counter(each["_id"] for each in payments.find({}, {"_id": 1}))


@contextmanager
def plain_writers(replset: EmbeddedMongo, settings: Settings) -> Iterator[Writers]:
    """The same with the bare driver, into another collection."""
    with MongoClient[dict[str, Any]](replset.uri) as client:
        plain = client[settings["default"].database].get_collection(
            "plain", write_concern=WriteConcern("majority")
        )
        writers = Writers(lambda key: plain.insert_one({"_id": key}), count=2)
        with writers.at_work():
            yield writers


def test_a_killed_primary_loses_nothing_and_raises_nothing(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    ours = Writers(pay)
    with plain_writers(replset, settings) as plain, ours.at_work():
        for writers in (ours, plain):
            writers.wait_for_successes(50)
        replset.kill(replset.primary)
        for writers in (ours, plain):
            writers.wait_for_successes(50)
    there = stored(replset, settings)
    assert [call.error for call in ours.failed] == []
    assert [call.key for call in ours.succeeded if there[call.key] != 1] == []
    assert ours.gap() <= 1.2 * plain.gap()


def test_a_primary_that_steps_down_pauses_writes_for_a_moment(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    ours = Writers(pay)
    with ours.at_work():
        ours.wait_for_successes(50)
        with MongoClient[Any](replset.hosts[replset.primary], directConnection=True) as primary:
            primary.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
        ours.wait_for_successes(50)
    there = stored(replset, settings)
    assert [call.error for call in ours.failed] == []
    assert [call.key for call in ours.succeeded if there[call.key] != 1] == []
    assert ours.gap() <= 1.5


def test_a_hanging_primary_lets_no_call_outlast_its_deadline_and_no_error_lie(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    ours = Writers(pay_within_two_seconds, count=6)
    with ours.at_work():
        ours.wait_for_successes(50)
        hanging = replset.primary
        replset.pause(hanging)
        ours.wait_for_successes(20)  # from the next primary
        replset.resume(hanging)
        ours.wait_for_successes(50)
    replset.wait_for_primary()
    there = stored(replset, settings)
    assert max(call.ended - call.began for call in ours.calls) <= 2.5
    assert [call.key for call in ours.succeeded if there[call.key] != 1] == []
    no_effect = [call for call in ours.failed if not isinstance(call.error, OutcomeUnknownError)]
    assert [call for call in no_effect if there[call.key]] == []
    assert {type(call.error) for call in ours.failed} <= {
        OutcomeUnknownError,
        UnavailableError,
        DeadlineExceededError,
    }
    assert ours.failed, "some calls must have met the hanging primary"
