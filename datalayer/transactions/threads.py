"""Notices threads and processes that are started inside a transaction: Python hands them nothing
of it, or a copy, so what they write would escape it silently."""

from __future__ import annotations

import _thread
import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any

from datalayer.context.session import Joined, joined
from datalayer.context.stack import Block
from datalayer.transactions.state import current

_OWN_THREADS = ("datalayer-", "pymongo_")
_TAKING_A_CALL = (
    "apply_async", "imap", "imap_unordered", "map", "map_async", "starmap", "starmap_async",
)  # fmt: skip
_watching = threading.Lock()  # guards the replacement of the functions


def watch_starts() -> None:
    """From now on, let threads and the tasks of executors and pools know in which transaction
    they were started.

    What starts them is wrapped, once in a process and only where there are transactions: Python
    has no other way to tell a thread of its starter.
    """
    with _watching:
        _wrap(threading.Thread, "start", _watched_start)
        _wrap(ThreadPoolExecutor, "submit", _watched_call)
        for name in ("start_new_thread", "start_joinable_thread"):  # the second from 3.13 on
            if hasattr(_thread, name):
                _wrap(_thread, name, _watched_function)
        # Who has made a pool before has imported it, and the threads of others start inside.
        pools = sys.modules.get("multiprocessing.pool")
        for name in _TAKING_A_CALL if pools is not None else ():
            _wrap(pools.ThreadPool, name, _watched_call)  # type: ignore[union-attr]


def _wrap(owner: Any, name: str, watched: Callable[[Any], Any]) -> None:
    function = getattr(owner, name)
    if not hasattr(function, "watched_by_datalayer"):
        wrapped = functools.wraps(function)(watched(function))
        vars(wrapped)["watched_by_datalayer"] = True
        setattr(owner, name, wrapped)


def _watched_start(start: Callable[[threading.Thread], None]) -> Callable[..., None]:
    def watched(self: threading.Thread) -> None:
        block = _around()
        if block is not None:
            own = self.name.startswith(_OWN_THREADS)
            # gevent's copy the context; ours belong to nobody's transaction.
            run = Context().run if own else functools.partial(_marked, block)
            self.run = functools.partial(run, self.run)  # type: ignore[method-assign]
        start(self)

    return watched


def _watched_call(submit: Callable[..., Any]) -> Callable[..., Any]:
    def watched(self: Any, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        block = _around()
        if block is not None:
            call = functools.partial(_marked, block, call)
        return submit(self, call, *args, **kwargs)

    return watched


def _watched_function(start: Callable[..., Any]) -> Callable[..., Any]:
    def watched(function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        block = _around()
        if block is not None:
            function = functools.partial(_marked, block, function)
        return start(function, *args, **options)

    return watched


def _around() -> Block[Joined] | None:
    return joined.innermost() if current() is not None else None


def _marked(block: Block[Joined], call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = joined.variable.set(block)
    try:
        return call(*args, **kwargs)
    finally:
        joined.variable.reset(token)


def _before_fork() -> None:
    begun = current()
    if begun is None:
        return
    begun.tell_children()
    # Where this is loaded, it may be the one who forks: its children never return to the block.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(begun, type(begun).leave_behind)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
