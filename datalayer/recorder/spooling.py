"""What the collector does with the spool: it opens it, writes batches down, lines up what other
processes have left, and tries again what the disk has refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from mongoengine.base.common import _document_registry

from datalayer.recorder.encoding import target_of
from datalayer.recorder.queues import Batch, Lane, Target
from datalayer.recorder.state import State
from datalayer.retry import FIRST_WAIT_SECONDS, next_pause

if TYPE_CHECKING:
    from datalayer.recorder.spool.spool import Spool, Stored

logger = logging.getLogger("datalayer.recorder")

_ADOPT_SECONDS = 15.0
_ADOPT_AT_ONCE_SECONDS = 0.1
"""Then what request threads have recorded meanwhile comes first."""
_TELL_SECONDS = 60.0
_LONGEST_AGE_SECONDS = 10 * 365 * 86_400.0


class Spooling:
    """For the collector's thread. While the spool can't be opened or written, events wait in
    memory, as they do without one."""

    def __init__(self, state: State, open_lane: Callable[[Any, Target | None], Lane]) -> None:
        self._state = state
        self._open_lane = open_lane
        self._sync_at: float | None = None
        self._adopt_at = 0.0
        self._found: Iterator[Stored] | None = None
        """What other processes have left, and is not lined up yet."""
        self._unreadable = ""
        """Why the directory could not be read, as far as that was logged."""
        self._is_told = False
        """Whether it was told that the disk takes nothing."""
        self._tell_at = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether batches are to be written down."""
        settings = self._state.settings
        return self._state.spool is not None or (
            settings.policy == "spool" and settings.spool_directory is not None
        )

    def next_task(self) -> float | None:
        """When there is something to do, by the monotonic clock."""
        state = self._state
        if not self.is_wanted:
            return None
        if state.spool is None:
            return state.spool_not_before
        tasks = [self._sync_at, self._adopt_at]
        tasks.append(state.spool_not_before if state.spool_pause else None)
        return min(task for task in tasks if task is not None)

    def keep_house(self, now: float) -> None:
        """Do what is due."""
        state = self._state
        if not self.is_wanted:
            return
        if now >= state.spool_not_before:
            if state.spool is None:
                self._open()
            if state.spool_pause and state.spool is not None:
                self._try_again()
        spool = state.spool
        if spool is None:
            return
        if self._sync_at is not None and now >= self._sync_at:
            self._sync_at = None
            self._sync(spool)
        if now >= self._adopt_at:
            self._adopt_at = now + _ADOPT_SECONDS
            self._adopt(spool)

    def write_down(self, lane: Lane, batch: Batch) -> bool:
        """Write ``batch`` into the spool; says whether that has taken it."""
        state = self._state
        if state.spool is None or batch.documents is None:
            return False
        try:
            batch.place = state.spool.append(lane.target.written(), batch.documents)
        except Exception as exc:  # noqa: BLE001 - what was taken from the queue must not get lost
            self._failed(exc)
            return False
        with state.lock:
            state.spooled += batch.count
        if self._sync_at is None:
            self._sync_at = monotonic() + state.settings.fsync_ms / 1000
        return True

    def _open(self) -> None:
        # Not before it is wanted: Windows has none of the locks that it needs.
        from datalayer.recorder.spool.spool import Spool

        settings = self._state.settings
        try:
            path = settings.spool_directory or Path()
            self._state.spool = Spool(path, int(settings.spool_max_bytes))
            self._state.spool_pause = FIRST_WAIT_SECONDS  # what was taken before waits in memory
        except OSError as exc:
            self._failed(exc)

    # The disk refuses

    def _try_again(self) -> None:
        """Write down what waits in memory; where that succeeds, the disk is well again."""
        state = self._state
        while (found := self._next_in_memory()) is not None:
            lane, batch = found
            try:
                is_written = self.write_down(lane, batch)
            finally:
                with state.lock:
                    if batch in lane.sending:  # else it was given up meanwhile
                        lane.sending.discard(batch)
                        lane.line_up(batch)
                        state.ready.notify()
            if not is_written:
                return
            with state.lock:
                if lane.outstanding > state.settings.connections:
                    batch.documents = None
        state.spool_pause, state.spool_not_before, state.spool_is_full = 0.0, 0.0, False
        if self._is_told:
            self._is_told = False
            logger.info(
                "the recorder's spool takes events again", extra={"event": "recorder_spool_again"}
            )

    def _next_in_memory(self) -> tuple[Lane, Batch] | None:
        """A batch that the spool doesn't have; taken from its lane, so that nobody sends it."""
        with self._state.lock:
            for lane in self._state.lanes.values():
                for batch in lane.ready:
                    if batch.place is None and _is_encoded(batch):
                        lane.ready.remove(batch)
                        lane.sending.add(batch)
                        return lane, batch
        return None

    def _failed(self, exc: Exception) -> None:
        from datalayer.recorder.spool.spool import SpoolFullError

        state, now = self._state, monotonic()
        state.spool_is_full = isinstance(exc, SpoolFullError)
        pause = next_pause(state.spool_pause)
        state.spool_pause, state.spool_not_before = pause, now + pause
        if self._is_told or now < self._tell_at:
            return
        self._is_told, self._tell_at = True, now + _TELL_SECONDS
        why = "its limit is reached" if state.spool_is_full else type(exc).__name__
        if isinstance(exc, OSError):
            why = exc.strerror or str(exc)
        logger.log(
            logging.ERROR if state.spool is None else logging.WARNING,
            "the recorder's spool %s (%s); events wait in memory, and it is tried again",
            "can't be opened" if state.spool is None else "takes nothing now",
            why,
            extra={
                "event": "recorder_spool_unusable"
                if state.spool is None
                else "recorder_spool_full"
            },
        )

    def _sync(self, spool: Spool) -> None:
        try:
            spool.sync()
        except OSError as exc:
            logger.warning(
                "the recorder's spool could not be forced to the disk (error %s)",
                exc.errno,
                extra={"event": "recorder_spool_sync"},
            )

    # What other processes have left

    def _adopt(self, spool: Spool) -> None:
        found, self._found = self._found or spool.adopt(), None
        ends = monotonic() + _ADOPT_AT_ONCE_SECONDS
        try:
            for stored in found:
                self._line_up(spool, stored)
                if monotonic() >= ends:
                    self._found, self._adopt_at = found, 0.0
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
            lane = self._lane_at(Target.read(stored.header))
        except Exception:  # noqa: BLE001 - other batches are not to wait for this one
            spool.set_aside(stored.place)
            return
        age = time() - stored.written_at
        if not 0 <= age < _LONGEST_AGE_SECONDS:  # the clock was changed
            age = 0.0
        with state.lock:
            batch = Batch(lane.passed, stored.count, monotonic() - age)
            batch.place, batch.sent_before = stored.place, True
            lane.ready.append(batch)
            lane.taken += stored.count
            state.recovered += stored.count
            state.ready.notify()

    def _lane_at(self, target: Target) -> Lane:
        with self._state.lock:
            lane = self._state.lane_for(target)
            if lane is None:
                model = _model_at(target)
                lane = self._open_lane(target if model is None else model, target)
            return lane


def _is_encoded(batch: Batch) -> bool:
    return bool(batch.documents) and all(type(each) is bytes for each in batch.documents or ())


def _model_at(target: Target) -> Any:
    """The model that stores its events there; ``None`` for one that is not imported, or stores
    them elsewhere by now."""
    model = _document_registry.get(target.model)
    try:
        return model if model is not None and target_of(model) == target else None
    except Exception:  # noqa: BLE001 - a class of the application's, of whatever kind
        return None
