"""Which flow of control runs: the process, the thread, the greenlet and the asyncio task. A copy
of a context may run in any of them."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from datalayer.concurrency.forks import Mark, fork_mark

_mark = fork_mark()


def process_mark() -> Mark:
    """A mark of the present process, false in its children."""
    global _mark  # noqa: PLW0603 - one in a process
    if not _mark[0]:
        _mark = fork_mark()
    return _mark


class Flow:
    """The flow of control that made it."""

    __slots__ = ("_greenlet", "_mark", "_task", "_thread")

    def __init__(self) -> None:
        self._mark = process_mark()
        self._thread = threading.get_ident()
        self._greenlet = _greenlet()
        self._task = _task()

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is not a child that was forked from it."""
        return bool(self._mark[0])

    @property
    def is_present(self) -> bool:
        """Whether it is the one that asks."""
        return self.stranger is None

    @property
    def stranger(self) -> str | None:
        """What it is that asks, where it is another one: "process", "thread", ..."""
        if not self._mark[0]:
            return "process"
        if self._thread != threading.get_ident():
            return "thread"
        greenlet = _greenlet()
        # Without greenlets so far, it was the thread's first one.
        is_first = self._greenlet is None and greenlet is not None and greenlet.parent is None
        if greenlet is not self._greenlet and not is_first:
            return "greenlet"
        # Outside of any task, a loop that runs in the same thread runs inside.
        if self._task is not None and self._task is not _task():
            return "task"
        return None


def starter_of_greenlet() -> Any:
    """The context of the greenlet that the present one returns to; ``None`` without greenlets.

    A plain greenlet, unlike gevent's, begins with an empty context."""
    present = _greenlet()
    parent = None if present is None else present.parent
    return None if parent is None else parent.gr_context


def _greenlet() -> Any:
    module = sys.modules.get("greenlet")
    getcurrent = getattr(module, "getcurrent", None)
    return None if getcurrent is None else getcurrent()


def _task() -> object | None:
    running = asyncio._get_running_loop()
    return None if running is None else asyncio.current_task(running)
