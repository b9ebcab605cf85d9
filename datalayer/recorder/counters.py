"""Counters that are added up in memory, and recorded as one measurement every few seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from datalayer.documents.times import utc_now

Key = tuple[Any, str, tuple[tuple[str, str], ...]]


class Counter:
    """What has happened how often, since it was last recorded. Made by ``recorder.counter``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _value
        self._value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``. Costs no event: all that is added up is recorded as one."""
        with self._lock:
            self._value += amount

    def taken(self) -> float:
        """The present value, which begins again at 0."""
        with self._lock:
            value, self._value = self._value, 0.0
        return value


class Counters:
    """The counters of a recorder."""

    def __init__(self, record: Callable[[Any, Any], None]) -> None:
        self._record = record
        self._counters: dict[Key, Counter] = {}

    def __bool__(self) -> bool:
        return bool(self._counters)

    def get(self, name: str, model: Any, labels: dict[str, str]) -> Counter:
        """The counter of this name and these labels; always the same one."""
        key = (model, name, tuple(sorted(labels.items())))
        return self._counters.setdefault(key, Counter())

    def record_all(self) -> None:
        """Record what was added up, and begin again."""
        for (model, name, labels), counter in list(self._counters.items()):
            value = counter.taken()
            if value:
                series = {"name": name, "labels": dict(labels)}
                event = {"measured_at": utc_now(), "series": series, "value": float(value)}
                self._record(event, model)

    def after_fork(self) -> None:
        """Begin again in a child: the parent records what it has added up."""
        for counter in list(self._counters.values()):
            counter.__init__()  # type: ignore[misc] # a new lock: another thread may have held it
