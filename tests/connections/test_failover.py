"""What writers see when the primary is killed, steps down or hangs: nothing acknowledged is lost,
nothing is written twice, and each error says whether there was an effect."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from types import NoneType
from typing import Any

import pytest
from bson import ObjectId
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField
from observing import NO_OTHER_LIMIT, error_of
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from waiting import wait_until

from datalayer import BusinessDocument, db, transfer
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    DataLayerError,
    DeadlineExceededError,
    OutcomeUnknownError,
    UnavailableError,
)
from datalayer.settings import Settings

# Its one further attempt counts on them while a primary is stepping down.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pauses_of_the_driver")]

ROUNDS = 3
DEADLINE_SECONDS = 2.0
WriteOnce = Callable[[ObjectId], object]


class Payment(BusinessDocument):
    times = IntField(default=1)
    """How often it was written."""


@dataclass(frozen=True)
class Call:
    """One write: whose, of which document, when it began and ended, and what came of it."""

    writer: int
    key: ObjectId
    began: float
    ended: float
    error: Exception | None


@dataclass
class Writers:
    """Threads, one for each of ``writes``, that write one document after the other."""

    writes: Sequence[WriteOnce]
    calls: list[Call] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[Writers]:
        threads = [
            threading.Thread(target=self._work, args=each) for each in enumerate(self.writes)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a writer hangs"

    def _work(self, writer: int, write: WriteOnce) -> None:
        while not self._stop.is_set():
            key, began, error = ObjectId(), time.monotonic(), None
            try:
                write(key)
            except (PyMongoError, DataLayerError) as exc:
                error = exc
            self.calls.append(Call(writer, key, began, time.monotonic(), error))

    @property
    def succeeded(self) -> list[Call]:
        return [call for call in list(self.calls) if call.error is None]

    @property
    def failed(self) -> list[Call]:
        return [call for call in list(self.calls) if call.error is not None]

    def succeed(self, number: int) -> None:
        """Wait until each thread has written so many more."""
        self._wait_for(number, lambda: self.succeeded)

    def end(self, number: int) -> None:
        """Wait until so many more calls of each thread have ended, one way or the other."""
        self._wait_for(number, lambda: list(self.calls))

    def _wait_for(self, number: int, calls: Callable[[], list[Call]]) -> None:
        since = time.monotonic()

        def all_got_on() -> bool:
            new = Counter(call.writer for call in calls() if call.ended > since)
            return all(new[writer] >= number for writer in range(len(self.writes)))

        wait_until(all_got_on, 120, "the writers don't get on")


def save(key: ObjectId) -> None:
    Payment(id=key).save(force_insert=True)


def count_up(key: ObjectId) -> None:
    """Writing it twice would show."""
    Payment.objects(pk=key).update_one(upsert=True, inc__times=1)


def within_the_deadline(write: WriteOnce) -> WriteOnce:
    def call(key: ObjectId) -> None:
        with db.deadline(DEADLINE_SECONDS):
            write(key)

    return call


OURS = (save, save, count_up, count_up)


@pytest.fixture
def settings(replset: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(Payment), connected(settings_for(replset)) as settings:
        save(ObjectId())
        yield settings


@pytest.fixture
def patient(replset: EmbeddedMongo) -> Iterator[Settings]:
    """Settings under which a call that hangs is ended by its own deadline, or by nothing."""
    with (
        model_registry(Payment),
        connected(settings_for(replset, **NO_OTHER_LIMIT)) as settings,
    ):
        save(ObjectId())
        yield settings


@contextmanager
def at_work_beside_the_driver(
    replset: EmbeddedMongo, settings: Settings, writes: Sequence[WriteOnce]
) -> Iterator[tuple[Writers, Writers]]:
    """Our writers, and as many with the bare driver, into another collection."""
    with MongoClient[dict[str, Any]](replset.uri) as client:
        collection = client[settings["default"].database].get_collection(
            "plain", write_concern=WriteConcern("majority")
        )
        ours = Writers(writes)
        plain = Writers([lambda key: collection.insert_one({"_id": key})] * len(writes))
        with plain.at_work(), ours.at_work():
            yield ours, plain


def amiss(writers: Writers, replset: EmbeddedMongo, settings: Settings) -> dict[str, list[Call]]:
    """The calls whose outcome is not what the caller was told, read from the primary as a
    majority of the members knows it."""
    with MongoClient[dict[str, Any]](replset.uri) as client:
        payments = client[settings["default"].database].get_collection(
            "payment", read_concern=ReadConcern("majority")
        )
        there = {each["_id"]: each["times"] for each in payments.find({}, {"times": 1})}
    denied = [call for call in writers.failed if not isinstance(call.error, OutcomeUnknownError)]
    return {
        "acknowledged and lost": [call for call in writers.succeeded if call.key not in there],
        "written twice": [call for call in writers.calls if there.get(call.key, 0) > 1],
        "denied and written": [call for call in denied if call.key in there],
    }


NOTHING: dict[str, list[Call]] = {
    "acknowledged and lost": [],
    "written twice": [],
    "denied and written": [],
}


def step_down(replset: EmbeddedMongo) -> None:
    with MongoClient[Any](replset.member_uri(replset.primary), timeoutMS=20_000) as primary:
        ends = time.monotonic() + 30
        while True:
            try:
                primary.admin.command("replSetStepDown", 3, secondaryCatchUpPeriodSecs=2)
            except OperationFailure:  # nobody has caught up, or may be elected again so soon
                assert time.monotonic() < ends, "it does not step down"
            else:
                return


def step_up_another(replset: EmbeddedMongo, hanging: int) -> None:
    """Have another member elected now: by themselves they take up to half a minute for it."""
    ends = time.monotonic() + 30
    for other in cycle({0, 1, 2} - {hanging}):
        with MongoClient[Any](replset.member_uri(other), timeoutMS=20_000) as secondary:
            try:
                secondary.admin.command("replSetStepUp")
            except PyMongoError:  # it is behind the third, or lost its connections meanwhile
                assert time.monotonic() < ends, "nobody is elected"
            else:
                break
    replset.wait_for_primary()


@contextmanager
def held_at(
    replset: EmbeddedMongo, fail_point: str, member: int | None = None
) -> Iterator[MongoClient[Any]]:
    """The member, or the primary, which stops each write at ``fail_point`` until the end of the
    block."""
    uri = replset.member_uri(replset.primary if member is None else member)
    with MongoClient[Any](uri, timeoutMS=20_000) as held:
        held.admin.command("configureFailPoint", fail_point, mode="alwaysOn")
        try:
            yield held
        finally:
            held.admin.command("configureFailPoint", fail_point, mode="off")


def test_a_killed_primary_loses_nothing_and_raises_nothing(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    with at_work_beside_the_driver(replset, settings, OURS) as (ours, plain):
        for _ in range(ROUNDS):
            succeed(ours, plain)
            killed = replset.primary
            replset.kill(killed)
            succeed(ours, plain)
            replset.start(killed)
    assert [call.error for call in ours.failed] == []
    assert amiss(ours, replset, settings) == NOTHING


def test_a_primary_that_steps_down_loses_nothing_and_raises_nothing(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    # A primary gives up stepping down where nobody has caught up, and is told again: one write can
    # meet several, and the driver by itself tries once more only.
    patiently = [db.retry(write) for write in OURS]
    with at_work_beside_the_driver(replset, settings, patiently) as (ours, plain):
        for _ in range(ROUNDS):
            succeed(ours, plain)
            step_down(replset)
            succeed(ours, plain)
    assert [call.error for call in ours.failed] == []
    assert amiss(ours, replset, settings) == NOTHING


CHANGES: dict[str, tuple[str, Callable[[], object], set[tuple[type[object], int]]]] = {
    "update": (
        "hangDuringBatchUpdate",
        lambda: Payment.objects.update_one(inc__times=1),
        # Of the whole command the server may say it, too: then the driver tries again by itself.
        {(UnavailableError, 1), (NoneType, 2)},
    ),
    "update of several": (
        "hangDuringBatchUpdate",
        lambda: Payment.objects.update(inc__times=1),
        {(OutcomeUnknownError, 1)},
    ),
    "delete of several": (
        "hangDuringBatchRemove",
        lambda: Payment.objects(times=1).delete(),
        {(OutcomeUnknownError, 1)},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_the_server_holds_up_until_it_has_stepped_down_is_told_clearly(
    replset: EmbeddedMongo, settings: Settings, change: str
) -> None:
    """The server says it of the single write, which the driver does not try again then."""
    held_up, call, truthful = CHANGES[change]
    errors: list[DataLayerError | None] = []
    late = threading.Thread(target=lambda: errors.append(error_of(call)))
    with held_at(replset, held_up) as primary:
        late.start()
        primary.admin.command("waitForFailPoint", held_up, timesEntered=1, maxTimeMS=20_000)
        down = threading.Thread(target=step_down, args=[replset])
        down.start()
        wait_until(lambda: not primary.admin.command("hello")["isWritablePrimary"])
    for thread in (late, down):
        thread.join(60)
    [error] = errors
    assert (type(error), Payment.objects.sum("times")) in truthful


def test_a_followed_transfer_goes_on_through_elections(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    ours = Writers(OURS)
    outcome: list[transfer.Report] = []
    plan = transfer.plan("live", models=[Payment], target="database1", follow=True)
    runner = threading.Thread(target=lambda: outcome.append(transfer.run(plan)))
    with ours.at_work():
        runner.start()
        wait_until(lambda: transfer.show("live").followed > 0)
        for _ in range(2):
            step_down(replset)
            ours.succeed(20)
    report = transfer.cut_over("live")
    runner.join(60)
    assert [each.state for each in outcome] == [report.state] == ["done"]
    assert report.verified == Payment.objects.count() >= len(ours.succeeded)
    assert amiss(ours, replset, settings) == NOTHING


def test_a_cut_over_waits_for_changes_that_the_member_it_follows_does_not_have_yet(
    replset: EmbeddedMongo, settings: Settings
) -> None:
    """A change stream stays with the member that was the primary when it began."""
    plan = transfer.plan("live", models=[Payment], target="database1", follow=True)
    runner = threading.Thread(target=transfer.run, args=[plan])
    runner.start()
    wait_until(lambda: bool(transfer.show("live").state == "following"))
    save(ObjectId())
    wait_until(lambda: transfer.show("live").followed > 0)
    reports: list[transfer.Report] = []
    cut_over = threading.Thread(target=lambda: reports.append(transfer.cut_over("live")))
    followed = replset.primary
    step_down(replset)
    with held_at(replset, "rsSyncApplyStop", followed):
        save(ObjectId())
        cut_over.start()
        cut_over.join(1)
        assert reports == []
    for thread in (cut_over, runner):
        thread.join(60)
    assert [(each.state, each.verified) for each in reports] == [("done", 3)]


@pytest.mark.stops_processes
@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "resumed in time"])
def test_a_hanging_primary_lets_no_call_outlast_its_deadline_and_no_error_lie(
    replset: EmbeddedMongo, patient: Settings, replaced: bool
) -> None:
    ours = Writers([within_the_deadline(write) for write in OURS])
    with ours.at_work():
        ours.succeed(10)
        hanging = replset.primary
        replset.pause(hanging)
        if replaced:
            step_up_another(replset, hanging)
        ours.end(2)
        replset.resume(hanging)
        ours.succeed(10)
    replset.wait_for_primary()
    assert amiss(ours, replset, patient) == NOTHING
    kinds = {type(call.error) for call in ours.failed}
    assert OutcomeUnknownError in kinds, "the first calls have sent their writes"
    assert kinds <= {OutcomeUnknownError, UnavailableError, DeadlineExceededError}


def succeed(*all_writers: Writers) -> None:
    for writers in all_writers:
        writers.succeed(10)
