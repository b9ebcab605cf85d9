"""The thread that makes batches of the events in the queues, by number, size and age, and has them
written into the spool; it never waits for a server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from datalayer.recorder.counters import Counters
from datalayer.recorder.encoding import Encoder
from datalayer.recorder.queues import Batch, Placed, Queue, Target
from datalayer.recorder.spool_replay import SpoolReplay
from datalayer.recorder.spool_writer import SpoolWriter
from datalayer.recorder.state import State

logger = logging.getLogger("datalayer.recorder")

_BATCH_BYTES = 8 * 1024 * 1024
_SPOOL_PARTS = 16
"""A batch takes no more than this part of the spool."""
_WARN_SECONDS = 60.0


class Batcher:
    """What one thread of a recorder does; ``open_queue`` gives the queue of a model."""

    def __init__(
        self, state: State, counters: Counters, open_queue: Callable[[Any, Target | None], Queue]
    ) -> None:
        self._state = state
        self._counters = counters
        self._encoder = Encoder(state.prepare, as_bson=True)
        self._spool = SpoolWriter(state)
        self._replay = SpoolReplay(state, open_queue)
        self._count_at = monotonic() + state.settings.counter_seconds
        self._warn_at = 0.0
        self._warned_of = 0

    def run(self) -> None:
        """Work until the recorder is closed and its queues are empty."""
        while self._wait():
            self.make_batches()
            self.do_due_tasks()

    def make_batches(self) -> None:
        """Make batches of what is due."""
        state = self._state
        for queue in list(state.queues.values()):
            while True:
                with state.lock:
                    if not self._is_due(queue):
                        break
                    queue.taking = True
                try:
                    self._make_batches(queue)
                finally:
                    with state.lock:
                        queue.taking = False
                        state.settled.notify_all()

    def do_due_tasks(self) -> None:
        """Do what is due by the clock: counters, the spool, a warning of losses."""
        state, now = self._state, monotonic()
        if self._counters and (now >= self._count_at or state.flushing):
            self._count_at = now + state.settings.counter_seconds
            self._counters.record_all()
        self._spool.do_due_tasks(now)
        if state.spool is not None and now >= self._replay.due_at:
            self._replay.run(state.spool, now)
        self._warn_of_losses(now)

    def _is_due(self, queue: Queue) -> bool:
        now = monotonic()
        return bool(queue.events) and self._has_slot(queue) and self._batch_due(queue, now) <= now

    # Waiting

    def _wait(self) -> bool:
        """Whether there is something to do, as soon as there is."""
        state = self._state
        with state.lock:
            while True:
                timeout = self._prepare_to_wait(monotonic())
                if timeout is not None and timeout <= 0:
                    break
                if state.closing:
                    return False
                state.work.wait(timeout)
            for queue in state.queues.values():
                queue.wake_at = queue.room + 1
            return True

    def _prepare_to_wait(self, now: float) -> float | None:
        """Ask request threads to wake the batcher, and tell the seconds until it has to do
        something anyhow."""
        settings, queues = self._state.settings, list(self._state.queues.values())
        nothing_waits = not any(queue.events for queue in queues)
        due = self._next_task()
        for queue in queues:
            if not queue.events:
                queue.waiting_since = None
            elif queue.waiting_since is None:
                queue.waiting_since = now
            if not self._has_slot(queue):
                queue.wake_at = queue.room + 1
                continue
            queue.wake_at = 1 if nothing_waits else min(settings.batch_size, queue.room)
            # Asked after ``wake_at`` was set: an event of this moment is seen here, or wakes.
            if queue.events:
                batch_due = self._batch_due(queue, now)
                due = batch_due if due is None else min(due, batch_due)
        return None if due is None else due - now

    def _batch_due(self, queue: Queue, now: float) -> float:
        """When to make a batch of what waits: at once, or when it has waited long enough."""
        state = self._state
        if state.flushing or state.closing or len(queue.events) >= state.settings.batch_size:
            return now
        since = now if queue.waiting_since is None else queue.waiting_since
        return since + state.settings.interval_ms / 1000

    def _has_slot(self, queue: Queue) -> bool:
        if self._state.spool is not None and not self._state.spool_pause:
            return True
        return len(queue.ready) + len(queue.sending) < self._state.settings.connections

    def _next_task(self) -> float | None:
        tasks = (
            self._spool.next_task(),
            self._replay.due_at if self._state.spool is not None else None,
            self._count_at if self._counters else None,
            self._warn_at if self._state.dropped > self._warned_of else None,
        )
        return min((task for task in tasks if task is not None), default=None)

    # Making batches

    def _make_batches(self, queue: Queue) -> None:
        """Make batches of the events at the front of the queue: one for each database."""
        groups = _by_database(queue, self._popped(queue))
        made = 0
        try:
            for group in groups:
                made += 1
                self._make_batch(queue, *group)
        finally:  # after an error, the others are lost as what caused it is
            for database, events, _ in groups[made:]:
                self._hand_over(queue, Batch(queue.passed, 0, 0.0, database=database), len(events))

    def _make_batch(
        self, queue: Queue, database: str | None, events: list[Any], spans: tuple[str, ...]
    ) -> None:
        batch = Batch(queue.passed, 0, monotonic(), database=database, spans=spans)
        batch.events, batch.count = events, len(events)
        try:
            if self._spool.is_wanted:
                self._write_to_spool(queue, batch, events)
        except BaseException:
            batch.documents, batch.count = None, 0
            raise
        finally:
            self._hand_over(queue, batch, len(events))

    def _popped(self, queue: Queue) -> list[Any]:
        """Events from the front of the queue."""
        pop, settings = queue.events.popleft, self._state.settings
        most = settings.batch_size
        if queue.mean_bytes:
            largest = min(_BATCH_BYTES, settings.spool_max_bytes / _SPOOL_PARTS)
            most = max(1, min(most, int(largest / queue.mean_bytes)))
        events: list[Any] = []
        with suppress(IndexError):
            for _ in range(most):
                events.append(pop())  # noqa: PERF401 - what was popped must not get lost
        return events

    def _write_to_spool(self, queue: Queue, batch: Batch, events: list[Any]) -> None:
        """Encode ``batch``, and write it into the spool if that takes it."""
        state = self._state
        documents, size = self._encoder.documents(queue, events)
        batch.events, batch.documents, batch.count = None, documents, len(documents)
        with state.lock:
            settings = state.settings
            queue.note_size(size, len(documents), settings.capacity, settings.max_bytes)
        if documents and not state.spool_pause:
            self._spool.write(queue, batch)

    def _hand_over(self, queue: Queue, batch: Batch, taken: int) -> None:
        """Have a batch sent that was made of so many events; those that are not in it are
        lost."""
        state = self._state
        with state.lock:
            queue.taken += taken
            queue.waiting_since = monotonic() if queue.events else None
            queue.wake_at = queue.room + 1
            state.refused += taken - batch.count
            if batch.place is not None and queue.outstanding >= state.settings.connections:
                batch.documents = None
            if batch.count:
                queue.ready.append(batch)
                state.ready.notify()
            if state.blocked:
                state.settled.notify_all()

    def _warn_of_losses(self, now: float) -> None:
        dropped = self._state.dropped
        if dropped > self._warned_of and now >= self._warn_at:
            logger.warning(
                "%d recorded events were lost: no room, refused by the server, or impossible to "
                "store; the recorder's stats() tell more",
                dropped - self._warned_of,
                extra={"event": "recorder_dropped", "dropped": dropped},
            )
            self._warned_of = dropped
            self._warn_at = now + _WARN_SECONDS


_Group = tuple[str | None, list[Any], tuple[str, ...]]


def _by_database(queue: Queue, events: list[Any]) -> list[_Group]:
    """The events for each database, with the spans in which they were recorded."""
    if not (queue.has_placed or queue.has_spans):
        return [(None, events, ())]
    groups: dict[str | None, tuple[list[Any], dict[str, None]]] = {}
    for each in events:
        database, event, span = each if type(each) is Placed else (None, each, None)
        found, spans = groups.setdefault(database, ([], {}))
        found.append(event)
        if span is not None:
            spans[span] = None
    return [(database, found, tuple(spans)) for database, (found, spans) in groups.items()]
