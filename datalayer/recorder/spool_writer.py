"""Writes batches into the spool before they are sent: opens it, forces it to the disk, and tries
again what the disk has refused."""

from __future__ import annotations

import logging
from pathlib import Path
from time import monotonic

from datalayer.recorder.queues import Batch, Queue
from datalayer.recorder.state import State
from datalayer.retry import FIRST_WAIT_SECONDS, next_pause

logger = logging.getLogger("datalayer.recorder")

_TELL_SECONDS = 60.0


class SpoolWriter:
    """For the batcher's thread. While the spool can't be opened or written, events wait in
    memory, as they do without one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._sync_at: float | None = None
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
        if state.spool is None:
            return state.spool_not_before if self.is_wanted else None
        tasks = (self._sync_at, state.spool_not_before if state.spool_pause else None)
        return min((task for task in tasks if task is not None), default=None)

    def do_due_tasks(self, now: float) -> None:
        """Open the spool, try again what it has refused, force it to the disk: what is due."""
        state = self._state
        if not self.is_wanted:
            return
        if now >= state.spool_not_before:
            if state.spool is None:
                self._open()
            if state.spool_pause and state.spool is not None:
                self._try_again()
        if state.spool is not None and self._sync_at is not None and now >= self._sync_at:
            self._sync_at = None
            try:
                state.spool.sync()
            except OSError as exc:
                logger.warning(
                    "the recorder's spool could not be forced to the disk (error %s)",
                    exc.errno,
                    extra={"event": "recorder_spool_sync"},
                )

    def write(self, queue: Queue, batch: Batch) -> bool:
        """Write ``batch`` into the spool; says whether that has taken it."""
        state = self._state
        if state.spool is None or batch.documents is None:
            return False
        try:
            target = queue.target if batch.database is None else queue.target.on(batch.database)
            batch.place = state.spool.append(target.written(), batch.documents)
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
            queue, batch = found
            try:
                is_written = self.write(queue, batch)
            finally:
                with state.lock:
                    if batch in queue.sending:  # else it was given up meanwhile
                        queue.sending.discard(batch)
                        queue.put_back(batch)
                        state.ready.notify()
            if not is_written:
                return
            with state.lock:
                if queue.outstanding > state.settings.connections:
                    batch.documents = None
        state.spool_pause, state.spool_not_before, state.spool_is_full = 0.0, 0.0, False
        if self._is_told:
            self._is_told = False
            logger.info(
                "the recorder's spool takes events again", extra={"event": "recorder_spool_again"}
            )

    def _next_in_memory(self) -> tuple[Queue, Batch] | None:
        """A batch that the spool doesn't have; taken from its queue, so that nobody sends it."""
        with self._state.lock:
            for queue in self._state.queues.values():
                for batch in queue.ready:
                    documents = batch.documents if batch.place is None else None
                    if documents and all(type(each) is bytes for each in documents):
                        queue.ready.remove(batch)
                        queue.sending.add(batch)
                        return queue, batch
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
        level, what, event = logging.WARNING, "takes nothing now", "recorder_spool_full"
        if state.spool is None:
            level, what, event = logging.ERROR, "can't be opened", "recorder_spool_unusable"
        logger.log(
            level,
            "the recorder's spool %s (%s); events wait in memory, and it is tried again",
            what,
            why,
            extra={"event": event},
        )
