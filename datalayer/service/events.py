"""The events of a database's life, and how callbacks get to know of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeAlias

from datalayer.failures.redaction import without_contents

logger = logging.getLogger("datalayer.events")

EVENTS = (
    "connecting",
    "connected",
    "disconnected",
    "unavailable",
    "recovered",
    "pool_exhausted",
    "slow_command",
)
_LONGEST_QUEUE = 1000
_LAST_CALLS_SECONDS = 1.0


@dataclass(frozen=True)
class Event:
    """Something that happened to a database: its name, the alias, and the facts."""

    name: str
    alias: str
    facts: Mapping[str, Any] = field(default_factory=dict)


Callback: TypeAlias = Callable[[Event], object]


class EventBus:
    """Calls the callbacks of one service.

    ``publish`` calls them in the caller's thread: for connecting and disconnecting. ``post``
    hands the event to a daemon thread, started at the first such event: what the driver's
    threads report must not wait for a callback. A callback that raises is logged, and the
    others are called all the same.
    """

    def __init__(self) -> None:
        # Guards _callbacks, _queue and _thread. Re-entrant: a signal handler may cause an event.
        self._lock = threading.RLock()
        self._callbacks: dict[str, list[Callback]] = {name: [] for name in EVENTS}
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def on(self, name: str, callback: Callback) -> None:
        """Call ``callback`` with each event of that name; raises ``ValueError`` for others."""
        with self._lock:
            self._named(name).append(callback)

    def off(self, name: str, callback: Callback) -> None:
        """Stop calling ``callback``. Nothing happens if it was never registered."""
        with self._lock:
            callbacks = self._named(name)
            if callback in callbacks:
                callbacks.remove(callback)

    def publish(self, event: Event) -> None:
        """Call the event's callbacks now."""
        with self._lock:
            callbacks = tuple(self._callbacks[event.name])
        for callback in callbacks:
            try:
                callback(event)
            except Exception as exc:
                logger.error(
                    "a callback for %r failed",
                    event.name,
                    exc_info=without_contents(exc),
                    extra={"alias": event.alias, "event": event.name},
                )

    def post(self, event: Event) -> None:
        """Call the event's callbacks soon, in the bus's own thread.

        A callback that hangs can't fill the memory: past a thousand waiting events, new ones
        are dropped.
        """
        if not self._callbacks[event.name] or self._queue.qsize() >= _LONGEST_QUEUE:
            return
        self._queue.put(event)
        if self._thread is None:
            self._start()

    def finish(self) -> None:
        """Let the waiting events be delivered and end the thread, within a second."""
        with self._lock:
            thread, self._thread = self._thread, None
            queue, self._queue = self._queue, SimpleQueue()
        if thread is not None:
            queue.put(None)
            if thread is not threading.current_thread():
                thread.join(_LAST_CALLS_SECONDS)

    def after_fork(self) -> None:
        """Forget the parent's thread and what was waiting for it."""
        self._lock = threading.RLock()
        self._queue = SimpleQueue()
        self._thread = None

    def _named(self, name: str) -> list[Callback]:
        try:
            return self._callbacks[name]
        except KeyError:
            raise ValueError(f"no event {name!r}; there are {', '.join(EVENTS)}") from None

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._deliver, args=(self._queue,), name="datalayer-events", daemon=True
                )
                self._thread.start()

    def _deliver(self, queue: SimpleQueue[Event | None]) -> None:
        while (event := queue.get()) is not None:
            self.publish(event)
