"""Counts the connections of one alias: open, in use, waited for, timed out."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutFailedReason,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
)

from datalayer.monitoring.durations import Distribution, Durations
from datalayer.monitoring.failures import FailureLog, address_of
from datalayer.monitoring.histogram import Bucket, Histogram
from datalayer.monitoring.observer import CommandTracer, Emit, Observer

_BATCH = 256  # waits are counted this many at a time, or when somebody asks


class SilentPoolListener(ConnectionPoolListener):
    """Does nothing about any event, where the driver's own class wants a method for each."""

    def _ignore(self, event: Any) -> None:
        pass

    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_created = connection_ready = connection_closed = _ignore
    connection_check_out_started = connection_check_out_failed = _ignore
    connection_checked_out = connection_checked_in = _ignore


class PoolMonitor(SilentPoolListener):
    """Gauges and counters over all pools of one client (it has one for each server).

    The driver reports each connection's creation and closing, and each check-out and check-in,
    exactly once and in pairs (Connection Monitoring and Pooling specification), also when a
    pool is cleared or closed. So the gauges are differences of counters and can't drift.
    """

    def __init__(self, emit: Emit, failures: FailureLog | None = None) -> None:
        self._emit = emit
        self._failures = failures or FailureLog("")
        self._observer: Observer | None = None
        self.tracer: CommandTracer | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything: the process was forked, and the child has no connections."""
        # Guards the counters. Re-entrant: a signal handler may use a connection while the
        # thread it interrupted is counting one.
        self._lock = threading.RLock()
        self._created = self._closed = 0
        self._started = self._checked_out = self._checked_in = 0
        self._failed = self._timeouts = self._cleared = 0
        self._checkouts = Histogram()
        self._waits = Durations()
        self._uncounted: list[int] = []  # waits in microseconds
        # When each connection in use was taken, by address and number; only for an observer.
        self._taken: dict[tuple[object, int], float] = {}

    def snapshot(self) -> dict[str, Any]:
        """The figures for ``status()``: sizes in connections, durations in milliseconds."""
        with self._lock:
            self._count()
            p50, p99 = self._checkouts.percentiles_ms(0.5, 0.99)
            is_open = self._created - self._closed
            in_use = self._checked_out - self._checked_in
            return {
                "open": is_open,
                "in_use": in_use,
                "idle": max(is_open - in_use, 0),
                "waiting": self._started - self._checked_out - self._failed,
                "checkout_p50_ms": p50,
                "checkout_p99_ms": p99,
                "timeouts": self._timeouts,
                "created": self._created,
                "closed": self._closed,
                "cleared": self._cleared,
            }

    def checkouts(self) -> tuple[Bucket, ...]:
        """How long operations have waited for a connection in the last five to ten minutes."""
        with self._lock:
            self._count()
            return self._checkouts.distribution()

    def waits(self) -> Distribution:
        """How long operations waited for the connections that they got, since the start."""
        with self._lock:
            self._count()
            return self._waits.distribution()

    def observe(self, observer: Observer | None) -> None:
        """Tell ``observer`` of each connection from now on; ``None`` for nobody."""
        self._observer = observer
        self._taken = {}

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """An operation asks for a connection."""
        self.ask()

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """An operation got its connection."""
        self.take(event.duration or 0.0, event.address, event.connection_id)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """An operation gave its connection back."""
        self.give_back(event.address, event.connection_id)

    def ask(self) -> None:
        """``connection_check_out_started``, without an event."""
        with self._lock:
            self._started += 1

    def take(self, waited_seconds: float, address: object = None, connection: int = 0) -> None:
        """``connection_checked_out``, without an event."""
        with self._lock:
            self._checked_out += 1
            self._uncounted.append(int(waited_seconds * 1_000_000))
            if len(self._uncounted) >= _BATCH:
                self._count()
        if self.tracer is not None:
            self.tracer.connected(waited_seconds, address)
        if self._observer is not None:
            self._taken[address, connection] = monotonic()
            self._observer.waited(waited_seconds)

    def give_back(self, address: object = None, connection: int = 0) -> None:
        """``connection_checked_in``, without an event."""
        with self._lock:
            self._checked_in += 1
        if self._observer is not None:
            taken = self._taken.pop((address, connection), None)
            if taken is not None:
                self._observer.used(monotonic() - taken)

    def _count(self) -> None:
        uncounted, self._uncounted = self._uncounted, []
        self._checkouts.record_all(uncounted)
        self._waits.record_all(uncounted)

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """An operation got no connection: none was free in time, or none could be made."""
        exhausted = event.reason == ConnectionCheckOutFailedReason.TIMEOUT
        with self._lock:
            self._failed += 1
            self._timeouts += exhausted
        if self.tracer is not None:
            self.tracer.not_connected(event.reason or "_OTHER", event.address)
        if exhausted:
            self._failures.note("no connection was free", "check-out", address_of(event.address))
            self._emit("pool_exhausted", {"waited_ms": round((event.duration or 0.0) * 1000, 1)})

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        """A connection is being set up."""
        with self._lock:
            self._created += 1

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """A connection is gone, whether it was ever ready or not."""
        with self._lock:
            self._closed += 1

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """A network error made the driver drop all connections of a server."""
        with self._lock:
            self._cleared += 1

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """A connection can be used; it was counted when it was created."""
        if self._observer is not None:
            self._observer.created(event.duration or 0.0)
