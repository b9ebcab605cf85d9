"""An event that is never taken concerns itself alone: it is counted and told once, and the others
of its batch are stored exactly once, also where the batch has to be sent again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson import DatetimeMS, Regex
from mongoengine.fields import DictField
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, InvalidOperation
from recorded_events import Click, Reading, Visit
from waiting import wait_until

from datalayer import AnalyticsDocument
from datalayer.documents import UTCDateTimeField
from datalayer.recorder import Recorder, bulk_insert
from datalayer.recorder.encoding import target_of
from datalayer.recorder.queues import Batch, Queue, Target

Make = Callable[..., Recorder]

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def deep(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def readings(*poison: dict[str, Any]) -> list[dict[str, Any]]:
    """Ten measurements with the numbers 0 to 9, and bad ones in their middle."""
    good = [{"number": number, "at": NOW} for number in range(10)]
    bad = [{"number": -1, "at": NOW, **each} for each in poison]
    return [*good[:5], *bad, *good[5:]]


def stored(model: Any) -> list[dict[str, Any]]:
    return list(model._get_collection().find({}, {"_id": True, "number": True}))


def good_numbers(model: Any) -> list[int]:
    return sorted(each["number"] for each in stored(model) if each["number"] >= 0)


def lose_one_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Collection.insert_many

    def lose_the_reply(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Collection, "insert_many", original)
        try:
            original(self, *args, **kwargs)
        finally:
            raise AutoReconnect("connection closed")

    monkeypatch.setattr(Collection, "insert_many", lose_the_reply)


def lose_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Collection.insert_many

    def lose_the_request(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Collection, "insert_many", original)
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Collection, "insert_many", lose_the_request)


REFUSED: dict[str, dict[str, Any]] = {
    "a text as its time": {"at": "2026-11-30"},
    "no time": {"at": None},
    "too deep": {"text": deep(250)},
    "too large for a bucket": {"text": "x" * (15 * 1024 * 1024)},
}
TAKEN: dict[str, dict[str, Any]] = {
    "an id that is a mapping": {"_id": {"a": 1}},
    "an id that is a list": {"_id": [1, 2]},
    "an id that is a pattern": {"_id": Regex("^a")},
    "a time beyond those of Python": {"at": DatetimeMS(2**52)},
    "as deep as a document may be, but not together with others": {"text": deep(190)},
    "a time long ago": {"at": datetime(1971, 1, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("poison", REFUSED)
@pytest.mark.parametrize("lose", [None, lose_one_reply, lose_one_request])
def test_a_measurement_that_is_refused_stops_and_doubles_no_other(
    make: Make, monkeypatch: pytest.MonkeyPatch, poison: str, lose: Any
) -> None:
    recorder = make(batch_size=11, interval_ms=60_000)
    if lose is not None:
        lose(monkeypatch)
    for event in readings(REFUSED[poison]):
        recorder.record(event, Reading)
    assert recorder.flush(30) or recorder.flush(30)
    assert [each["number"] for each in stored(Reading) if each["number"] < 0] == []
    assert good_numbers(Reading) == list(range(10))
    told = recorder.stats()
    assert (told["written"], told["refused"], told["waiting"]) == (10, 1, 0)


@pytest.mark.parametrize("strange", TAKEN)
@pytest.mark.parametrize("lose", [lose_one_reply, lose_one_request])
def test_a_strange_measurement_that_is_sent_again_is_stored_once(
    make: Make, monkeypatch: pytest.MonkeyPatch, strange: str, lose: Any
) -> None:
    recorder = make(batch_size=11, interval_ms=60_000)
    lose(monkeypatch)
    for event in readings(TAKEN[strange]):
        recorder.record(event, Reading)
    assert recorder.flush(30) or recorder.flush(30)
    assert sorted(each["number"] for each in stored(Reading)) == [-1, *range(10)]
    assert recorder.stats()["written"] == 11


@pytest.mark.parametrize("lose", [lose_one_reply, lose_one_request])
def test_ids_that_are_equal_to_python_or_the_server_are_several_measurements(
    make: Make, monkeypatch: pytest.MonkeyPatch, lose: Any
) -> None:
    recorder = make(batch_size=4, interval_ms=60_000)
    lose(monkeypatch)
    for number, identity in enumerate((1, 1.0, True, bson.Int64(1))):
        recorder.record({"_id": identity, "number": number, "at": NOW}, Reading)
    assert recorder.flush(30) or recorder.flush(30)
    assert good_numbers(Reading) == [0, 1, 2, 3]


def test_many_measurements_without_a_time_cost_one_command(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make(batch_size=100, interval_ms=60_000)
    recorder.record({"number": 0, "at": NOW}, Reading)
    recorder.flush(30)
    sent: list[int] = []
    original = Collection.insert_many

    def note(self: Any, documents: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(len(documents))
        return original(self, documents, *args, **kwargs)

    monkeypatch.setattr(Collection, "insert_many", note)
    for number in range(100):
        recorder.record({"number": number, "at": "soon"}, Reading)
    assert recorder.flush(30)
    assert sent == [100]
    assert recorder.stats()["refused"] == 100


def test_an_index_that_does_not_take_one_measurement_loses_no_other(make: Make) -> None:
    """The server stores measurements together, and blames all of them."""

    class Position(AnalyticsDocument):
        at = UTCDateTimeField(required=True)
        place = DictField()
        meta = {
            "collection": "positions",
            "timestamps": False,
            "timeseries": {"timeField": "at"},
        }

    recorder = make(batch_size=11, interval_ms=60_000)
    recorder.record({"number": 0, "at": NOW - timedelta(days=10)}, Position)
    assert recorder.flush(30)
    Position._get_collection().create_index([("place", "2dsphere")])
    for event in readings({"place": "somewhere"})[1:]:
        recorder.record(event, Position)
    assert recorder.flush(30)
    assert sorted(each["number"] for each in stored(Position)) == list(range(10))
    assert (recorder.stats()["written"], recorder.stats()["refused"]) == (10, 1)


@pytest.mark.parametrize("lose", [lose_one_reply, lose_one_request])
@pytest.mark.parametrize(
    "poison",
    [{"_id": [1]}, {"_id": {"$a": 1}}, {"number": 3}, {"text": deep(250)}],
    ids=["list as id", "operator as id", "duplicate", "too deep"],
)
def test_an_event_that_is_refused_after_an_outage_stops_no_other(
    make: Make, monkeypatch: pytest.MonkeyPatch, poison: dict[str, Any], lose: Any
) -> None:
    recorder = make(batch_size=11, interval_ms=60_000)
    lose(monkeypatch)
    for number in range(10):
        recorder.record({"number": number}, Visit)
    recorder.record({"number": -1, **poison}, Visit)
    assert recorder.flush(30) or recorder.flush(30)
    assert sorted(each["number"] for each in stored(Visit)) == list(range(10))
    told = recorder.stats()
    assert (told["written"], told["refused"], told["waiting"]) == (10, 1, 0)


def test_why_events_are_refused_is_told_once_and_without_contents(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = make()
    for _ in range(3):
        recorder.record({"number": 1, "at": "canary"}, Reading)
        assert recorder.flush(30)
    told = [each for each in caplog.records if "refused, and left out" in each.getMessage()]
    assert [each.getMessage() for each in told] == [
        "events for readings of 'database1' are refused, and left out: BadValue"
    ]
    assert "canary" not in caplog.text


def test_a_collection_that_takes_nothing_keeps_its_own_events_waiting(make: Make) -> None:
    class Window(AnalyticsDocument):
        meta = {"collection": "window", "auto_create_index": False}

    recorder = make()
    database = Click._get_collection().database
    database.create_collection("window", viewOn="clicks", pipeline=[])
    try:
        recorder.record({"number": 1}, Window)
        recorder.record({"number": 2}, Click)
        wait_until(lambda: recorder.stats()["written"] == 1, 30, "the other one is stored")
        wait_until(lambda: recorder.stats()["retried"] >= 1, 30, "the first was tried")
        assert (recorder.stats()["refused"], recorder.stats()["waiting"]) == (0, 1)
    finally:
        database.drop_collection("window")
    assert recorder.flush(30) or recorder.flush(30)
    assert [each["number"] for each in database["window"].find()] == [1]


@pytest.mark.parametrize(
    "error",
    [InvalidOperation("Cannot use MongoClient after close"), MemoryError(), RuntimeError("busy")],
)
def test_what_no_event_has_caused_refuses_none(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    recorder = make()
    original = Collection.insert_many

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(Collection, "insert_many", original)
        raise error

    monkeypatch.setattr(Collection, "insert_many", fail)
    recorder.record({"number": 1}, Click)
    assert recorder.flush(30) or recorder.flush(30)
    assert (recorder.stats()["written"], recorder.stats()["refused"]) == (1, 0)


def test_a_measurement_far_away_in_time_is_looked_up_apart(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    asked: list[dict[str, Any]] = []
    original = Collection.find

    def note(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(query["at"])
        return original(self, query, *args, **kwargs)

    monkeypatch.setattr(Collection, "find", note)
    times = [NOW, NOW + timedelta(minutes=1), NOW - timedelta(days=10_000)]
    events = [{"_id": number, "at": moment} for number, moment in enumerate(times)]
    there = Click._get_collection().database["measurements"]
    assert bulk_insert.missing(there, "at", events) == events
    hours = [(int(each["$lte"]) - int(each["$gte"])) / 3_600_000 for each in asked]
    assert sorted(hours) == [0, pytest.approx(1 / 60)]


def test_batches_that_failed_go_back_to_where_they_were() -> None:
    """``flush`` looks at the first one to tell whether all is stored."""
    queue = Queue(Target("Click", "database1", "clicks"), Click, 10)
    for first in (30, 10, 20):
        queue.put_back(Batch(first, 10, 0.0))
    queue.taken = 40
    assert [batch.first for batch in queue.ready] == [10, 20, 30]
    assert not queue.is_done_until(20)


def test_a_target_is_read_back_as_it_was_written() -> None:
    assert Target.read(target_of(Reading).written()) == target_of(Reading)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"no bson",
        bson.encode({}),
        bson.encode({"model": "Click", "alias": "database1", "collection": "clicks", "more": 1}),
        bson.encode({"model": 1, "alias": "database1", "collection": "clicks"}),
        bson.encode({"model": "Click", "alias": "database1", "collection": ""}),
        bson.encode({"model": "Click", "alias": "a", "collection": "c", "time_field": {"$gt": 1}}),
    ],
    ids=["nothing", "no bson", "no keys", "more keys", "a number", "an empty name", "a mapping"],
)
def test_what_is_no_target_is_not_read_as_one(written: bytes) -> None:
    with pytest.raises(ValueError, match="tells no target"):
        Target.read(written)
