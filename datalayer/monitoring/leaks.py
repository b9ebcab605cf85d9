"""Tells of connections that were taken from the pool and not given back for long, with the place
in the code that took them."""

from __future__ import annotations

import logging
import os
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import gridfs
import mongoengine
import pymongo
import tenacity
from pymongo.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionClosedEvent,
)

from datalayer.monitoring.pool import SilentPoolListener

logger = logging.getLogger("datalayer.leaks")

_Key = tuple[Any, int]  # the server's address and the connection's number there
_FRAMES_SHOWN = 6
# Whole directories: an application's own may be called datalayer, or hold one of that name.
LIBRARIES = (
    str(Path(__file__).parents[1]) + os.sep,
    *(
        folder + os.sep
        for package in (pymongo, gridfs, mongoengine, tenacity)
        for folder in package.__path__
    ),
)
"""Where code of this package, of the driver and the like is: each ends in a separator."""


@dataclass
class _Held:
    since: float
    stack: traceback.StackSummary
    thread: str
    told: bool = False


class LeakMonitor(SilentPoolListener):
    """Logs a connection once that an operation or cursor has held for ``limit_seconds``.

    For finding a leak: each check-out notes the caller's stack, which costs tens of
    microseconds. Only made where the limit is set; a thread of its own looks at what is held.
    """

    def __init__(self, alias: str, limit_seconds: float) -> None:
        self._alias = alias
        self._limit = limit_seconds
        self.reset()

    def reset(self) -> None:
        """Forget everything: the process was forked, and has no thread any more."""
        self._changed = threading.Condition(threading.RLock())  # guards what follows
        self._held: dict[_Key, _Held] = {}
        self._thread: threading.Thread | None = None
        self._stopped = False

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._held.clear()
            self._changed.notify_all()

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """An operation got a connection."""
        stack = traceback.StackSummary.extract(
            traceback.walk_stack(None), limit=60, lookup_lines=False
        )
        held = _Held(monotonic(), stack, threading.current_thread().name)
        with self._changed:
            if self._stopped:
                return
            self._held[event.address, event.connection_id] = held
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name=f"datalayer-leaks-{self._alias}", daemon=True
                )
                self._thread.start()
            elif len(self._held) == 1:
                self._changed.notify_all()

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """An operation gave its connection back."""
        with self._changed:
            self._held.pop((event.address, event.connection_id), None)

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """A connection is gone."""
        with self._changed:
            self._held.pop((event.address, event.connection_id), None)

    def _watch(self) -> None:
        while (overdue := self._next_overdue()) is not None:
            self._tell(overdue)

    def _next_overdue(self) -> _Held | None:
        with self._changed:
            while not self._stopped:
                now = monotonic()
                waiting = [held for held in self._held.values() if not held.told]
                for held in waiting:
                    if now - held.since >= self._limit:
                        held.told = True
                        return held
                first = min((held.since for held in waiting), default=None)
                self._changed.wait(None if first is None else first + self._limit - now)
            return None

    def _tell(self, held: _Held) -> None:
        taken_at = "".join(_own_part(held.stack).format()).rstrip()
        logger.warning(
            "a connection of %s is held for %.1f s by %s; it was taken here:\n%s",
            self._alias,
            monotonic() - held.since,
            held.thread,
            taken_at,
            extra={"alias": self._alias, "event": "connection_leak"},
        )


def _own_part(stack: traceback.StackSummary) -> traceback.StackSummary:
    """The last calls of the application's own code, the latest at the end."""
    own = [frame for frame in stack if not frame.filename.startswith(LIBRARIES)] or list(stack)
    return traceback.StackSummary.from_list(reversed(own[:_FRAMES_SHOWN]))
