"""Histograms, counters and gauges, fed with the driver's events."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutFailedReason,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    PoolClearedEvent,
)

from datalayer.monitoring import CommandMonitor, Histogram, PoolMonitor

SERVER = ("127.0.0.1", 27017)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Emitted:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, name: str, facts: Mapping[str, Any]) -> None:
        self.events.append((name, facts))


# Histogram


def test_an_empty_histogram_has_no_percentiles() -> None:
    assert Histogram().percentiles_ms(0.5, 0.99) == [None, None]


@pytest.mark.parametrize("microseconds", [0, 1, 7, 15, 16, 17, 250, 999, 12_345, 4_000_000])
def test_a_percentile_is_within_a_sixteenth_of_the_value(microseconds: int) -> None:
    histogram = Histogram()
    histogram.record(microseconds / 1_000_000)
    (median,) = histogram.percentiles_ms(0.5)
    assert median is not None
    assert median * 1000 == pytest.approx(microseconds, rel=1 / 16, abs=1)


def test_percentiles_are_those_of_the_values() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 101):
        histogram.record(milliseconds / 1000)
    assert histogram.percentiles_ms(0.5, 0.95, 0.99) == [
        pytest.approx(expected, rel=1 / 16) for expected in (50, 95, 99)
    ]


def test_a_duration_beyond_all_buckets_is_counted_as_the_longest() -> None:
    histogram = Histogram()
    histogram.record(1e9)
    (median,) = histogram.percentiles_ms(0.5)
    assert median is not None
    assert median > 60_000_000


def test_old_values_leave_after_two_windows() -> None:
    clock = Clock()
    histogram = Histogram(clock)
    histogram.record(1.0)
    clock.now += 301
    histogram.record(0.001)
    assert histogram.percentiles_ms(1.0) == [pytest.approx(1000, rel=1 / 16)]
    clock.now += 301
    assert histogram.percentiles_ms(1.0) == [pytest.approx(1, rel=1 / 16)]


def test_after_a_long_silence_nothing_old_is_left() -> None:
    clock = Clock()
    histogram = Histogram(clock)
    histogram.record(1.0)
    clock.now += 3600
    assert histogram.percentiles_ms(0.5) == [None]


# Pool


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


@pytest.fixture
def pool(emitted: Emitted) -> PoolMonitor:
    return PoolMonitor(emitted)


def check_out(pool: PoolMonitor, connection: int, seconds: float = 0.001) -> None:
    pool.connection_check_out_started(ConnectionCheckOutStartedEvent(SERVER))
    pool.connection_checked_out(ConnectionCheckedOutEvent(SERVER, connection, seconds))


def gauges(pool: PoolMonitor) -> tuple[int, int, int, int]:
    figures = pool.snapshot()
    return figures["open"], figures["in_use"], figures["idle"], figures["waiting"]


def test_gauges_follow_a_connection_through_its_life(pool: PoolMonitor) -> None:
    pool.connection_check_out_started(ConnectionCheckOutStartedEvent(SERVER))
    assert gauges(pool) == (0, 0, 0, 1)
    pool.connection_created(ConnectionCreatedEvent(SERVER, 1))
    pool.connection_checked_out(ConnectionCheckedOutEvent(SERVER, 1, 0.001))
    assert gauges(pool) == (1, 1, 0, 0)
    pool.connection_checked_in(ConnectionCheckedInEvent(SERVER, 1))
    assert gauges(pool) == (1, 0, 1, 0)
    pool.connection_closed(ConnectionClosedEvent(SERVER, 1, "idle"))
    assert gauges(pool) == (0, 0, 0, 0)


def test_a_cleared_pool_keeps_its_gauges_right(pool: PoolMonitor) -> None:
    for connection in (1, 2):
        pool.connection_created(ConnectionCreatedEvent(SERVER, connection))
    check_out(pool, 1)
    pool.pool_cleared(PoolClearedEvent(SERVER))
    pool.connection_closed(ConnectionClosedEvent(SERVER, 2, "stale"))
    assert gauges(pool) == (1, 1, 0, 0)
    pool.connection_checked_in(ConnectionCheckedInEvent(SERVER, 1))
    pool.connection_closed(ConnectionClosedEvent(SERVER, 1, "stale"))
    assert gauges(pool) == (0, 0, 0, 0)
    assert pool.snapshot()["cleared"] == 1


def test_a_check_out_that_timed_out_is_counted_and_told(
    pool: PoolMonitor, emitted: Emitted
) -> None:
    pool.connection_check_out_started(ConnectionCheckOutStartedEvent(SERVER))
    pool.connection_check_out_failed(
        ConnectionCheckOutFailedEvent(SERVER, ConnectionCheckOutFailedReason.TIMEOUT, 0.5)
    )
    assert (pool.snapshot()["timeouts"], gauges(pool)[3]) == (1, 0)
    assert emitted.events == [("pool_exhausted", {"waited_ms": 500.0})]


def test_a_check_out_that_failed_to_connect_is_not_an_exhausted_pool(
    pool: PoolMonitor, emitted: Emitted
) -> None:
    pool.connection_check_out_started(ConnectionCheckOutStartedEvent(SERVER))
    pool.connection_check_out_failed(
        ConnectionCheckOutFailedEvent(SERVER, ConnectionCheckOutFailedReason.CONN_ERROR, 0.1)
    )
    assert (pool.snapshot()["timeouts"], gauges(pool)[3], emitted.events) == (0, 0, [])


def test_waiting_times_show_in_the_check_out_percentiles(pool: PoolMonitor) -> None:
    for _ in range(99):
        check_out(pool, 1, 0.001)
    check_out(pool, 1, 1.0)
    figures = pool.snapshot()
    assert figures["checkout_p50_ms"] == pytest.approx(1, rel=1 / 16)
    assert figures["checkout_p99_ms"] == pytest.approx(1, rel=1 / 16)


# Commands


def run(
    monitor: CommandMonitor,
    command: dict[str, Any],
    *,
    milliseconds: float = 1.0,
    reply: Any = None,
    fails: bool = False,
) -> None:
    name = next(iter(command))
    took = timedelta(hours=1)  # by the driver's clock, which may have jumped
    started = CommandStartedEvent(command, "shop", 7, SERVER, 7)
    monitor.started(started)
    clock = monitor._clock
    assert isinstance(clock, Clock)
    clock.now += milliseconds / 1000
    if fails:
        monitor.failed(CommandFailedEvent(took, {"ok": 0}, name, 7, SERVER, 7))
    else:
        monitor.succeeded(CommandSucceededEvent(took, reply or {"ok": 1}, name, 7, SERVER, 7))


def test_commands_are_counted_and_timed(emitted: Emitted) -> None:
    monitor = CommandMonitor("default", 100, emitted, Clock())
    run(monitor, {"find": "user"}, milliseconds=2)
    run(monitor, {"find": "user"}, milliseconds=2, fails=True)
    figures = monitor.snapshot()
    assert (figures["total"], figures["failed"], figures["slow"]) == (2, 1, 0)
    assert figures["p50_ms"] == pytest.approx(2, rel=1 / 16)


@pytest.mark.parametrize(
    ("command", "reply", "collection", "documents"),
    [
        ({"find": "user"}, {"cursor": {"firstBatch": [{}, {}]}}, "user", 2),
        ({"getMore": 5, "collection": "user"}, {"cursor": {"nextBatch": [{}]}}, "user", 1),
        ({"insert": "user", "documents": [{}, {}, {}]}, {"n": 3}, "user", 3),
        ({"update": "user", "updates": [{}]}, {"n": 9}, "user", 1),
        ({"delete": "user", "deletes": [{}]}, {"n": 9}, "user", 1),
        ({"count": "user"}, {"n": 12}, "user", 12),
        ({"ping": 1}, {"ok": 1}, None, None),
        ({"aggregate": 1, "pipeline": []}, {"cursor": {"firstBatch": []}}, None, 0),
    ],
)
def test_a_slow_command_is_named_with_its_collection_and_number_of_documents(
    command: dict[str, Any],
    reply: dict[str, Any],
    collection: str | None,
    documents: int | None,
    emitted: Emitted,
) -> None:
    run(CommandMonitor("default", 100, emitted, Clock()), command, milliseconds=150, reply=reply)
    assert emitted.events == [
        (
            "slow_command",
            {
                "alias": "default",
                "collection": collection,
                "command": next(iter(command)),
                "ms": 150.0,
                "documents": documents,
            },
        )
    ]


def test_the_slow_command_log_shows_nothing_of_the_documents(
    emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "canary-4711"
    monitor = CommandMonitor("default", 100, emitted, Clock())
    with caplog.at_level(logging.DEBUG, logger="datalayer"):
        run(monitor, {"insert": "user", "documents": [{canary: canary}]}, milliseconds=150)
        run(monitor, {"find": "user", "filter": {canary: canary}}, milliseconds=150, fails=True)
        reply = {"cursor": {"firstBatch": [{canary: canary}]}}
        run(monitor, {"find": "user"}, milliseconds=150, reply=reply)
    assert len(caplog.records) == 3
    assert [r for r in caplog.records if canary in str(vars(r)) + r.getMessage()] == []
    assert caplog.records[0].getMessage() == (
        "slow command on default: insert user took 150.0 ms, 1 documents"
    )


def test_a_fast_command_is_not_logged(emitted: Emitted, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="datalayer"):
        run(CommandMonitor("default", 100, emitted, Clock()), {"find": "user"}, milliseconds=99)
    assert (caplog.records, emitted.events) == ([], [])


def test_nothing_is_kept_of_a_command_that_has_ended(emitted: Emitted) -> None:
    monitor = CommandMonitor("default", 100, emitted, Clock())
    run(monitor, {"find": "user"})
    run(monitor, {"find": "user"}, fails=True)
    assert monitor._threads.present.command is None
    assert monitor.snapshot()["total"] == 2


def test_a_forked_child_starts_from_zero(emitted: Emitted, pool: PoolMonitor) -> None:
    commands = CommandMonitor("default", 100, emitted, Clock())
    run(commands, {"find": "user"})
    check_out(pool, 1)
    commands.reset()
    pool.reset()
    assert (commands.snapshot()["total"], gauges(pool)) == (0, (0, 0, 0, 0))
