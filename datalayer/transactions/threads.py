"""Notices threads that are started inside a transaction: Python hands them nothing of it, so what
they write would escape it silently."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from datalayer.transactions.unit import Transaction, current, started_inside

__all__ = ["watch_threads"]

_OWN_THREADS = "datalayer-"
_watching = threading.Lock()  # guards the replacement of the two methods


def watch_threads() -> None:
    """From now on, let threads and executors' tasks know in which transaction they were started.

    ``Thread.start`` and ``ThreadPoolExecutor.submit`` are wrapped, once in a process and only
    where there are transactions: Python has no other way to tell a thread of its starter.
    """
    with _watching:
        if not hasattr(threading.Thread.start, "__wrapped__"):
            threading.Thread.start = _watched_start(threading.Thread.start)  # type: ignore[method-assign]
            ThreadPoolExecutor.submit = _watched_submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]


def _watched_start(start: Callable[[threading.Thread], None]) -> Callable[..., None]:
    @functools.wraps(start)
    def watched(self: threading.Thread) -> None:
        begun = current()
        if begun is not None and not self.name.startswith(_OWN_THREADS):
            self.run = functools.partial(_marked, begun, self.run)  # type: ignore[method-assign]
        start(self)

    return watched


def _watched_submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(submit)
    def watched(
        self: ThreadPoolExecutor, call: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        begun = current()
        if begun is not None:
            call = functools.partial(_marked, begun, call)
        return submit(self, call, *args, **kwargs)

    return watched


def _marked(begun: Transaction, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = started_inside.set(begun)
    try:
        return call(*args, **kwargs)
    finally:
        started_inside.reset(token)
