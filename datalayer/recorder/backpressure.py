"""What happens when a queue is full: the policies ``drop_oldest``, ``drop_newest``, ``block`` and
``spool``, of which the last drops the newest event only where the disk takes none."""

from __future__ import annotations

from collections.abc import Callable

from datalayer.recorder.queues import Queue
from datalayer.recorder.state import State

_ROOM_AGAIN = 0.75
"""The share of a full queue at which those that wait for room go on, so that they seldom wait."""


def make_room(state: State, queue: Queue) -> None:
    """Take an event out of a queue that holds more than it may, or wait until others were."""
    policy = state.settings.policy
    if policy == "drop_oldest":
        _drop(state, queue, queue.events.popleft, at_front=True)
    elif policy != "block" or not _wait_for_room(state, queue):
        _drop(state, queue, queue.events.pop, at_front=False)


def _drop(state: State, queue: Queue, pop: Callable[[], object], *, at_front: bool) -> None:
    with state.dropping:
        try:
            pop()
        except IndexError:
            return  # taken meanwhile
        state.dropped_from_queues += 1
        queue.skipped += at_front


def _wait_for_room(state: State, queue: Queue) -> bool:
    """Whether there is room after at most ``block_ms``; doesn't wait for a database that is
    away."""

    def is_over() -> bool:
        has_room = len(queue.events) <= queue.room * _ROOM_AGAIN
        return bool(has_room or queue.pause or state.closing)

    with state.lock:
        state.blocked += 1
        try:
            state.settled.wait_for(is_over, state.settings.block_ms / 1000)
        finally:
            state.blocked -= 1
    return len(queue.events) <= queue.room
