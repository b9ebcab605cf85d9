"""Lets one thread at a time make a value that is made when it is first read, so that all threads
get the same object."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_name = "_engine_first_read"  # under which a document has its lock
_exchanging = threading.Lock()  # guards the look and the exchange in ``exchange``
_around: Callable[[Any], AbstractContextManager[Any]] | None = None


def _after_fork() -> None:
    global _exchanging, _name  # noqa: PLW0603 # a thread of the parent may have held one
    _name += "_in_child"
    _exchanging = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def first_read(document: Any) -> Iterator[None]:
    """Hold the lock under which something of ``document`` is read first.

    Whoever has it looks again whether there still is something to do, and where that is done
    calls ``done``. What it is held for, fetching a reference say, ends with the deadline of that
    operation.
    """
    held: dict[str, Any] = document.__dict__
    while True:
        lock = held.setdefault(_name, threading.RLock())
        with lock:
            if held.get(_name) is lock:  # or it was taken away, and others come under a new one
                yield
                return


def done(document: Any) -> None:
    """Take the lock away: who comes now finds the value. After an error it stays."""
    document.__dict__.pop(_name, None)


def surround_first_reads(around: Callable[[Any], AbstractContextManager[Any]]) -> None:
    """Have references fetched inside of the block that ``around`` gives for their document."""
    global _around  # noqa: PLW0603
    _around = around


def read_first(field: Any, document: Any, owner: Any) -> Any:
    """What ``field`` gives, which fetches or wraps it where nobody has done so yet."""
    with first_read(document), nullcontext() if _around is None else _around(document):
        value = field.__get__(document, owner)
        done(document)
        return value


def exchange(holder: Any, key: Any, before: Any, made: Any) -> Any:
    """Put ``made``, which was made of ``before``, in its place in a list or dictionary; returns
    what stands there then: where another thread was quicker, what that has made."""
    kind: Any = dict if isinstance(holder, dict) else list
    with _exchanging:
        present = dict.get(holder, key) if kind is dict else list.__getitem__(holder, key)
        if present is not before and type(present) is type(made):
            return present
        kind.__setitem__(holder, key, made)
        return made
