"""The metrics of OpenTelemetry's semantic conventions for database clients.

https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation

import datalayer
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.contrib.opentelemetry.attributes import SCHEMA, Attributes, database, failed, pool
from datalayer.settings import DatabaseSettings

_BOUNDS_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
"""The conventions' advice for ``db.client.operation.duration``."""


def instrument(
    meter_provider: MeterProvider | None = None,
    *,
    operation_times: bool = True,
    connection_times: bool = False,
) -> None:
    """Measure the databases that are connected, and those connected later. Idempotent.

    Without ``meter_provider``, the global one is used. Gauges and counters are read when metrics
    are collected, and cost an operation nothing. Each duration costs it what the SDK takes to
    record one, 5 to 10 microseconds in Python: ``operation_times`` is one for each command
    (``db.client.operation.duration``), ``connection_times`` two (``wait_time``, ``use_time``).
    """
    if registry.observers is None:
        instruments = _Instruments(meter_provider, operation_times, connection_times)
        registry.on_close.append(instruments.count_last)
        registry.observe(instruments.observer)


def uninstrument() -> None:
    """Measure no longer. Idempotent."""
    instruments = getattr(registry.observers, "__self__", None)
    if isinstance(instruments, _Instruments):
        registry.on_close.remove(instruments.count_last)
    registry.observe(None)


class _Instruments:
    """The instruments of one meter."""

    def __init__(
        self, meter_provider: MeterProvider | None, operation_times: bool, connection_times: bool
    ) -> None:
        self._meter = metrics.get_meter(
            "datalayer", datalayer.__version__, meter_provider, schema_url=SCHEMA
        )
        self._timeouts_before: dict[str, int] = {}  # by alias, of connections that were closed
        self._make_gauges()
        self.creations = self._histogram(
            "db.client.connection.create_time", "The time it took to create a new connection."
        )
        self.operations = self.waits = self.uses = None
        if operation_times:
            self.operations = self._histogram(
                "db.client.operation.duration", "Duration of database client operations."
            )
        if connection_times:
            self.waits = self._histogram(
                "db.client.connection.wait_time",
                "The time it took to obtain an open connection from the pool.",
            )
            self.uses = self._histogram(
                "db.client.connection.use_time",
                "The time between borrowing a connection and returning it to the pool.",
            )

    def observer(self, settings: DatabaseSettings) -> _Observer:
        """Who is told of one database's commands and connections."""
        return _Observer(self, settings)

    def count_last(self, connection: Connection) -> None:
        """Keep what a connection that was closed has counted: a counter must not go back when
        its alias is connected anew."""
        timeouts = connection.monitors.pool.snapshot()["timeouts"]
        before = self._timeouts_before.get(connection.alias, 0)
        self._timeouts_before[connection.alias] = before + timeouts

    def _histogram(self, name: str, description: str) -> Histogram:
        return self._meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=_BOUNDS_SECONDS
        )

    def _make_gauges(self) -> None:
        self._meter.create_observable_up_down_counter(
            "db.client.connection.count",
            [self._count],
            "{connection}",
            "The number of connections that are currently in the state described.",
        )
        self._make_gauge(
            "db.client.connection.max",
            lambda connection: connection.settings.max_pool_size,
            "{connection}",
            "The maximum number of open connections allowed.",
        )
        self._make_gauge(
            "db.client.connection.idle.min",
            lambda connection: connection.settings.min_pool_size,
            "{connection}",
            "The minimum number of idle open connections allowed.",
        )
        self._make_gauge(
            "db.client.connection.pending_requests",
            lambda connection: connection.monitors.pool.snapshot()["waiting"],
            "{request}",
            "The number of current pending requests for an open connection.",
        )
        self._meter.create_observable_counter(
            "db.client.connection.timeouts",
            [self._timeouts],
            "{timeout}",
            "The number of connection timeouts that have occurred trying to obtain a connection "
            "from the pool.",
        )

    def _make_gauge(
        self, name: str, read: Callable[[Connection], int], unit: str, description: str
    ) -> None:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return (Observation(read(each), named) for each, named in self._connections())

        self._meter.create_observable_up_down_counter(name, [observe], unit, description)

    def _connections(self) -> Iterator[tuple[Connection, Attributes]]:
        if registry.observers != self.observer:
            return  # no longer: an instrument can't be taken back
        for connection in registry.connections():
            yield connection, pool(connection.settings)

    def _count(self, options: CallbackOptions) -> Iterable[Observation]:
        for connection, named in self._connections():
            figures = connection.monitors.pool.snapshot()
            for state, number in (("idle", figures["idle"]), ("used", figures["in_use"])):
                yield Observation(number, {**named, "db.client.connection.state": state})

    def _timeouts(self, options: CallbackOptions) -> Iterable[Observation]:
        for connection, named in self._connections():
            before = self._timeouts_before.get(connection.alias, 0)
            yield Observation(before + connection.monitors.pool.snapshot()["timeouts"], named)


class _Observer:
    """Records what happens on one database."""

    def __init__(self, instruments: _Instruments, settings: DatabaseSettings) -> None:
        self._instruments = instruments
        self._pool = pool(settings)
        self._common = database(settings)
        self._known: dict[tuple[str, str | None], Attributes] = {}
        self._recording = _Recording()

    def command(self, name: str, microseconds: int, error: str | None) -> None:
        """A command has ended."""
        if self._instruments.operations is None:
            return
        attributes = self._known.get((name, error))
        if attributes is None:
            attributes = self._known[name, error] = self._attributes(name, error)
        self._record(self._instruments.operations, microseconds / 1_000_000, attributes)

    def waited(self, seconds: float) -> None:
        """An operation got a connection."""
        if self._instruments.waits is not None:
            self._record(self._instruments.waits, seconds, self._pool)

    def used(self, seconds: float) -> None:
        """An operation gave its connection back."""
        if self._instruments.uses is not None:
            self._record(self._instruments.uses, seconds, self._pool)

    def created(self, seconds: float) -> None:
        """A connection was set up."""
        self._record(self._instruments.creations, seconds, self._pool)

    def _attributes(self, name: str, error: str | None) -> Attributes:
        attributes = {**self._common, "db.operation.name": name}
        return attributes if error is None else attributes | failed(error)

    def _record(self, histogram: Histogram, seconds: float, attributes: Attributes) -> None:
        # A signal's handler may use the database while the thread it interrupted is in here,
        # and holds a lock of the SDK's.
        if not self._recording.under_way:
            self._recording.under_way = True
            try:
                histogram.record(seconds, attributes)
            finally:
                self._recording.under_way = False


class _Recording(threading.local):
    under_way = False
