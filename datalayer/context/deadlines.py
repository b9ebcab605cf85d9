"""Deadlines for the operations of a block: the driver's, which hold until their block has ended,
wherever it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic

from pymongo import _csot

from datalayer.context.stack import ContextStack

_open: ContextStack[None] = ContextStack("datalayer_deadline")
_Driver = tuple[float | None, float, float]


@contextmanager
def deadline(seconds: float, *, whatever_is_around: bool = False) -> Iterator[float]:
    """Give the operations of a block ``seconds`` in all, or what is left of the block around it;
    gives the moment when they end.

    It is ``pymongo.timeout``, whose end puts back what stood before it began; but where that is
    another block's in a generator that has ended by then, or where the generator is closed in
    another thread, a time that has passed would stay for ever.
    """
    _open.innermost()
    before = (_csot.TIMEOUT.get(), _csot.DEADLINE.get(), _csot.RTT.get())
    ends = monotonic() + seconds
    if not whatever_is_around:
        ends = min(before[1], ends)
    own = seconds + 0.0  # an object of its own: who finds it knows whose deadline it is
    block = _open.enter(None, partial(_take_back, own, before))
    _csot.TIMEOUT.set(own)
    _csot.DEADLINE.set(ends)
    _csot.RTT.set(0.0)
    try:
        yield ends
    finally:
        _open.leave(block)


def settle() -> None:
    """Take out of the present context what blocks that have ended elsewhere have left there."""
    if _open.variable.get() is not None:
        _open.innermost()


def _take_back(own: float, before: _Driver) -> bool:
    if _csot.TIMEOUT.get() is not own:
        return False  # a pymongo.timeout() inside is still open, and will put it back
    _csot.TIMEOUT.set(before[0])
    _csot.DEADLINE.set(before[1])
    _csot.RTT.set(before[2])
    return True
