"""The figures of one of several processes, written where whichever of them is scraped finds all.

prometheus_client's multi-process mode reads files, one set for each process, and asks no
collector. So the figures are written there every few seconds, and at the process's end.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from prometheus_client import values

from datalayer.concurrency.threads import signals_held
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.contrib.prometheus.collector import BOUNDS
from datalayer.contrib.prometheus.metrics import (
    Metric,
    Reading,
    counted,
    counted_by,
    gauges,
)
from datalayer.monitoring.durations import Distribution

logger = logging.getLogger("datalayer.metrics")


class _Sample(NamedTuple):
    """One number in the files."""

    metric: Metric
    name: str
    labels: tuple[tuple[str, str], ...]

    @property
    def alias(self) -> str | None:
        return dict(self.labels).get("alias")


def is_multi_process() -> bool:
    """Whether ``PROMETHEUS_MULTIPROC_DIR`` was set when prometheus_client was imported."""
    return bool(getattr(values.ValueClass, "_multiprocess", False))


class Publisher:
    """Writes this process's figures. Counters go on growing when a database is connected anew;
    gauges of what is gone become 0.

    Its thread ends before a fork, so that it holds none of prometheus_client's locks then, and
    starts again in the parent and in the child.
    """

    def __init__(self) -> None:
        self._interval: float | None = None
        # They find the files of the process that they are used in by themselves.
        self._values: dict[_Sample, Any] = {}
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()  # guards all but the thread
        self._counted: dict[_Sample, float] = {}
        self._shown: set[_Sample] = set()
        self._failed = False
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, interval_seconds: float) -> None:
        """Write now, and every ``interval_seconds`` from now on. Idempotent."""
        if self._pid != os.getpid():  # a fork that ran no handlers
            self._begin()
        self._interval = interval_seconds
        if self._count_last not in registry.on_close:
            registry.on_close.append(self._count_last)
        atexit.unregister(self.stop)
        atexit.register(self.stop)
        self._start_thread()

    def stop(self) -> None:
        """Write a last time, with gauges of 0. Nothing happens if it wasn't started here."""
        if self._interval is None or self._pid != os.getpid():
            return
        self._stop_thread()
        self._interval = None
        registry.on_close.remove(self._count_last)
        self._write(())

    def publish(self) -> None:
        """Write now."""
        self._write(list(gauges()))

    # Around a fork

    def before_fork(self) -> None:
        """End the thread, in the parent."""
        self._stop_thread()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._interval is not None:
            self._start_thread()

    def after_fork_in_child(self) -> None:
        """Begin at zero: the parent writes what it has counted."""
        self._begin()
        if self._interval is not None:
            self._start_thread()

    # Inside

    def _start_thread(self) -> None:
        if self._thread is None:
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopped,), name="datalayer-prometheus", daemon=True
            )
            with signals_held():  # uWSGI's handlers shall not run in it
                self._thread.start()

    def _stop_thread(self) -> None:
        thread, self._thread = self._thread, None
        self._stopped.set()
        if thread is not None:
            thread.join()

    def _run(self, stopped: threading.Event) -> None:
        self.publish()
        while not stopped.wait(self._interval):
            self.publish()

    def _write(self, shown: Iterable[Reading]) -> None:
        def write() -> None:
            self._count(counted())
            self._write_gauges(shown)

        self._safely(write)

    def _count_last(self, connection: Connection) -> None:
        """What it counted since the last time, or ever; the next of its alias begins at zero."""
        if self._pid != os.getpid():  # a fork that ran no handlers, and hasn't started it
            return

        def write() -> None:
            self._count(counted_by(connection.alias, connection.monitors))
            for sample in [one for one in self._counted if one.alias == connection.alias]:
                del self._counted[sample]

        self._safely(write)

    def _safely(self, write: Callable[[], None]) -> None:
        with self._lock:
            try:
                write()
            except Exception as exc:  # noqa: BLE001 - a full disk must not end the thread
                if not self._failed:
                    logger.error("metrics can't be written (%s)", type(exc).__name__)
                self._failed = True
            else:
                self._failed = False

    def _count(self, readings: Iterable[Reading]) -> None:
        for sample, number in _samples(readings):
            self._value(sample).inc(number - self._counted.get(sample, 0))
            self._counted[sample] = number

    def _write_gauges(self, readings: Iterable[Reading]) -> None:
        shown = dict(_samples(readings))
        for sample in self._shown - shown.keys():
            self._value(sample).set(0)
        for sample, number in shown.items():
            self._value(sample).set(number)
        self._shown = set(shown)

    def _value(self, sample: _Sample) -> Any:
        value = self._values.get(sample)
        if value is None:
            metric, name, labels = sample
            value = self._values[sample] = values.ValueClass(
                metric.kind,
                metric.name.removesuffix("_total"),
                name,
                [name for name, _ in labels],
                [value for _, value in labels],
                metric.meaning,
                multiprocess_mode=metric.together,
            )
        return value


def _samples(readings: Iterable[Reading]) -> Iterator[tuple[_Sample, float]]:
    """The numbers behind ``readings``; of a distribution, each bucket's own."""
    for metric, label_values, value in readings:
        labels = tuple(zip(metric.labels, label_values, strict=True))
        if isinstance(value, Distribution):
            counts = pairwise((0, *value.up_to, value.count))
            for bound, (shorter, all_up_to) in zip(BOUNDS, counts, strict=True):
                bucket = _Sample(metric, f"{metric.name}_bucket", (*labels, ("le", bound)))
                yield bucket, all_up_to - shorter
            yield _Sample(metric, f"{metric.name}_sum", labels), value.sum_seconds
        else:
            yield _Sample(metric, metric.name, labels), value
