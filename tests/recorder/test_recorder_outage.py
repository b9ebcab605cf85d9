"""While the database is away: recording costs the same, memory is bounded, nothing is stored
twice afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from insert_faults import Gate, lose_one_reply
from pymongo import ReadPreference
from recorded_events import Click, Reading
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.recorder import Recorder, bulk_insert

Make = Callable[..., Recorder]


def numbers(model: Any = Click) -> list[int]:
    return [each["number"] for each in model._get_collection().find({}, sort=[("number", 1)])]


def record(recorder: Recorder, found: range, model: Any = Click) -> None:
    for number in found:
        recorder.record({"number": number}, model)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, proxy: FaultyProxy) -> Gate:
    return Gate(monkeypatch)


def full(make: Make, gate: Gate, **settings: Any) -> Recorder:
    """A recorder whose one batch is under way, with the events -1, and whose queue of 10 is full
    with the events 0 to 9."""
    recorder = make(capacity=10, batch_size=10, interval_ms=1, connections=1, **settings)
    recorder.record({"number": -1}, Click)
    assert gate.entered.wait(60)
    record(recorder, range(10))
    return recorder


def test_events_wait_until_the_database_is_back(make: Make, proxy: FaultyProxy) -> None:
    recorder = make()
    record(recorder, range(10))
    assert recorder.flush()
    proxy.refuse()
    # An attempt that begins before takes as long as it looks for a server.
    wait_until(lambda: not db.database1.is_connected, 60, "the driver knows that it is gone")
    record(recorder, range(10, 2000))
    assert recorder.flush(10) is False
    assert recorder.stats()["waiting"] == 1990
    assert recorder.stats()["retried"] > 0
    proxy.restore()
    wait_until(lambda: recorder.stats()["waiting"] == 0, 20, "the events are stored")
    assert numbers() == list(range(2000))


def test_flushing_does_not_wait_for_a_database_that_is_away(
    make: Make, proxy: FaultyProxy
) -> None:
    recorder = make()
    record(recorder, range(1))
    recorder.flush()
    proxy.refuse()
    record(recorder, range(1, 3))
    wait_until(lambda: not db.database1.is_connected, 60, "the driver knows that it is gone")
    recorder.flush(20)  # what was under way by then
    assert recorder.flush(600) is False  # longer than a test may last


def test_recording_does_not_wait_for_a_database_that_hangs(make: Make, proxy: FaultyProxy) -> None:
    recorder = make(capacity=5000, interval_ms=1)
    record(recorder, range(10))
    recorder.flush()
    proxy.hang()
    record(recorder, range(20_000))
    assert recorder.stats()["dropped"] >= 5000


def test_the_lag_tells_how_long_the_oldest_event_waits(make: Make, gate: Gate) -> None:
    recorder = full(make, gate)
    wait_until(lambda: recorder.stats()["lag_seconds"] >= 0.1, 10, "the lag grows")
    gate.opened.set()
    assert recorder.flush()
    assert recorder.stats()["lag_seconds"] == 0.0


def test_drop_oldest_keeps_the_newest(make: Make, gate: Gate) -> None:
    recorder = full(make, gate, policy="drop_oldest")
    record(recorder, range(10, 15))
    gate.opened.set()
    assert recorder.flush()
    assert numbers() == [-1, *range(5, 15)]
    assert recorder.stats()["dropped"] == 5


def test_drop_newest_keeps_the_oldest(make: Make, gate: Gate) -> None:
    recorder = full(make, gate, policy="drop_newest")
    record(recorder, range(10, 15))
    gate.opened.set()
    assert recorder.flush()
    assert numbers() == [-1, *range(10)]
    assert recorder.stats()["dropped"] == 5


def test_block_waits_for_room(make: Make, gate: Gate) -> None:
    recorder = full(make, gate, policy="block", block_ms=20_000)
    threading.Timer(0.2, gate.opened.set).start()
    record(recorder, range(10, 30))
    assert recorder.flush()
    assert numbers() == list(range(-1, 30))
    assert recorder.stats()["dropped"] == 0


def test_block_waits_no_longer_than_told(make: Make, gate: Gate) -> None:
    recorder = full(make, gate, policy="block", block_ms=100)
    record(recorder, range(10, 12))  # while the gate is closed
    assert recorder.stats()["dropped"] == 2
    gate.opened.set()
    assert recorder.flush()
    assert numbers() == [-1, *range(10)]


def test_block_does_not_wait_for_a_database_that_is_away(make: Make, proxy: FaultyProxy) -> None:
    recorder = make(policy="block", capacity=10, batch_size=10, block_ms=600_000, connections=1)
    proxy.refuse()
    record(recorder, range(10))
    assert recorder.flush(20) is False
    record(recorder, range(10, 1000))
    assert recorder.stats()["dropped"] > 0


def test_large_events_take_the_room_of_many(make: Make, gate: Gate) -> None:
    recorder = make(capacity=1000, batch_size=1, interval_ms=1, connections=1, max_megabytes=1)
    large = {"text": "x" * 100_000}
    recorder.record(large, Click)
    assert gate.entered.wait(60)
    gate.opened.set()
    assert recorder.flush()
    gate.opened.clear()
    gate.entered.clear()
    recorder.record(large, Click)
    assert gate.entered.wait(60)
    for _ in range(100):
        recorder.record(large, Click)
    assert recorder.stats()["waiting"] < 60  # the mean of sizes approaches that of the last ones
    gate.opened.set()


def test_a_model_that_cannot_be_stored_does_not_hold_up_others(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datalayer.errors import IndexBuildError

    recorder = make(connections=1)

    def fail() -> Any:
        raise IndexBuildError("it can't be built", alias="database1")

    monkeypatch.setattr(Reading, "_get_collection", fail)
    recorder.record({"number": 1, "at": datetime.now(UTC)}, Reading)
    assert recorder.flush() is False
    record(recorder, range(10))
    wait_until(lambda: recorder.stats()["waiting"] == 1, 10, "the others are stored")
    assert numbers() == list(range(10))


def test_a_lost_reply_stores_nothing_twice(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = make()
    lose_one_reply(monkeypatch)
    record(recorder, range(100))
    assert recorder.flush() or recorder.flush()
    assert numbers() == list(range(100))
    assert (recorder.stats()["written"], recorder.stats()["refused"]) == (100, 0)


def test_a_lost_reply_stores_no_measurement_twice(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = make()
    lose_one_reply(monkeypatch)
    for number in range(100):
        recorder.record({"number": number, "at": datetime.now(UTC)}, Reading)
    assert recorder.flush() or recorder.flush()
    assert numbers(Reading) == list(range(100))
    assert recorder.stats()["written"] == 100


def test_what_is_stored_already_is_looked_up_on_the_primary(make: Make) -> None:
    """Another member may not have it yet, wherever the URI or the model reads; here is none."""
    make()
    there = registry.connection("default").database["measurements"]
    stored = {"_id": 1, "at": datetime.now(UTC)}
    there.insert_one(stored)
    elsewhere = there.with_options(read_preference=ReadPreference.SECONDARY)
    missing = {"_id": 2, "at": datetime.now(UTC)}
    assert bulk_insert.missing(elsewhere, "at", [stored, missing]) == [missing]


@pytest.mark.slow
def test_cuts_under_load_lose_and_double_nothing(make: Make, proxy: FaultyProxy) -> None:
    recorder = make(batch_size=50, connections=3)
    for number in range(20_000):
        recorder.record({"number": number}, Click)
        if number % 1000 == 500:
            proxy.cut()
    wait_until(lambda: recorder.stats()["waiting"] == 0, 30, "all is stored")
    assert numbers() == list(range(20_000))
