"""Replays what other processes have left in the spool: their batches are lined up to be sent, each
for the queue of its model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from mongoengine.base.common import _document_registry

from datalayer.recorder.encoding import target_of
from datalayer.recorder.queues import Batch, Queue, Target
from datalayer.recorder.state import State

if TYPE_CHECKING:
    from datalayer.recorder.spool.segment import Stored
    from datalayer.recorder.spool.spool import Spool

logger = logging.getLogger("datalayer.recorder")

_LOOK_SECONDS = 15.0
_AT_ONCE_SECONDS = 0.1
"""Then what request threads have recorded meanwhile comes first."""
_LONGEST_AGE_SECONDS = 10 * 365 * 86_400.0


class SpoolReplay:
    """For the batcher's thread."""

    def __init__(self, state: State, open_queue: Callable[[Any, Target | None], Queue]) -> None:
        self.due_at = 0.0
        """When to look again, by the monotonic clock."""
        self._state = state
        self._open_queue = open_queue
        self._found: Iterator[Stored] | None = None
        """What is not lined up yet."""
        self._unreadable = ""
        """Why the directory could not be read, as far as that was logged."""

    def run(self, spool: Spool, now: float) -> None:
        """Line up what is found; what takes long is gone on with when it is called again."""
        self.due_at = now + _LOOK_SECONDS
        found, self._found = self._found or spool.adopt(), None
        ends = monotonic() + _AT_ONCE_SECONDS
        try:
            for stored in found:
                self._line_up(spool, stored)
                if monotonic() >= ends:
                    self._found, self.due_at = found, 0.0
                    return
            self._unreadable = ""
        except OSError as exc:
            why = exc.strerror or str(exc)
            if why != self._unreadable:
                self._unreadable = why
                logger.warning(
                    "the recorder's spool could not be read (%s)",
                    why,
                    extra={"event": "recorder_spool_unreadable"},
                )

    def _line_up(self, spool: Spool, stored: Stored) -> None:
        state = self._state
        try:
            target = Target.read(stored.header)
            queue = self._queue_of(target.on(None))
        except Exception:  # noqa: BLE001 - other batches are not to wait for this one
            spool.set_aside(stored.place)
            return
        age = time() - stored.written_at
        if not 0 <= age < _LONGEST_AGE_SECONDS:  # the clock was changed
            age = 0.0
        with state.lock:
            batch = Batch(queue.passed, stored.count, monotonic() - age)
            batch.place, batch.sent_before = stored.place, True
            batch.database = target.database
            queue.has_placed = queue.has_placed or target.database is not None
            queue.ready.append(batch)
            queue.taken += stored.count
            state.recovered += stored.count
            state.ready.notify()

    def _queue_of(self, target: Target) -> Queue:
        with self._state.lock:
            for queue in self._state.queues.values():
                if queue.target == target:
                    return queue
            model = _model_at(target)
            return self._open_queue(target if model is None else model, target)


def _model_at(target: Target) -> Any:
    """The model that stores its events there; ``None`` for one that is not imported, or stores
    them elsewhere by now."""
    model = _document_registry.get(target.model)
    try:
        return model if model is not None and target_of(model) == target else None
    except Exception:  # noqa: BLE001 - a class of the application's, of whatever kind
        return None
