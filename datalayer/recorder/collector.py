"""The thread that takes events from the queues, in batches, and writes them into the spool; it
never waits for a server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from datalayer.recorder.counters import Counters
from datalayer.recorder.encoding import Encoder
from datalayer.recorder.queues import Batch, Lane, Target
from datalayer.recorder.spooling import Spooling
from datalayer.recorder.state import State

logger = logging.getLogger("datalayer.recorder")

_BATCH_BYTES = 8 * 1024 * 1024
_SPOOL_PARTS = 16
"""A batch takes no more than this part of the spool."""
_WARN_SECONDS = 60.0


class Collector:
    """Runs in a thread of its own; ``start_sender`` is called when a batch finds nobody free."""

    def __init__(
        self, state: State, counters: Counters, open_lane: Callable[[Any, Target | None], Lane]
    ) -> None:
        self._state = state
        self._counters = counters
        self._encoder = Encoder(state.prepare, as_bson=True)
        self._spooling = Spooling(state, open_lane)
        self._count_at = monotonic() + state.settings.counter_seconds
        self._warn_at = 0.0
        self._warned_of = 0

    def run(self) -> None:
        """Work until the recorder is closed and its queues are empty."""
        while self._wait():
            self.take_all()
            self.keep_house()

    def take_all(self) -> None:
        """Make batches of what is due."""
        state = self._state
        for lane in list(state.lanes.values()):
            while True:
                with state.lock:
                    if not self._is_due(lane, monotonic()):
                        break
                    lane.taking = True
                try:
                    self._take(lane)
                finally:
                    with state.lock:
                        lane.taking = False
                        state.settled.notify_all()

    # Waiting

    def _wait(self) -> bool:
        """Whether there is something to do, as soon as there is."""
        state = self._state
        with state.lock:
            while True:
                now = monotonic()
                timeout = self._prepare_to_wait(now)
                if timeout is not None and timeout <= 0:
                    break
                if state.closing:
                    return False
                state.work.wait(timeout)
            for lane in state.lanes.values():
                lane.attention = lane.room + 1
            return True

    def _prepare_to_wait(self, now: float) -> float | None:
        """Ask request threads to wake the collector, and tell the seconds until it has to do
        something anyhow."""
        state = self._state
        lanes = list(state.lanes.values())
        nothing_waits = not any(lane.queue for lane in lanes)
        due = self._next_task()
        for lane in lanes:
            if not lane.queue:
                lane.waiting_since = None
            elif lane.waiting_since is None:
                lane.waiting_since = now
            if not self._has_slot(lane):
                lane.attention = lane.room + 1
                continue
            lane.attention = 1 if nothing_waits else min(state.settings.batch_size, lane.room)
            # Asked after attention was set: an event of this moment is seen here, or wakes.
            if lane.queue:
                since = now if lane.waiting_since is None else lane.waiting_since
                lane_due = now if self._is_due(lane, now) else since + self._interval
                due = lane_due if due is None else min(due, lane_due)
        return None if due is None else due - now

    def _is_due(self, lane: Lane, now: float) -> bool:
        state = self._state
        if not lane.queue or not self._has_slot(lane):
            return False
        if state.flushing or state.closing or len(lane.queue) >= state.settings.batch_size:
            return True
        return lane.waiting_since is not None and now >= lane.waiting_since + self._interval

    def _has_slot(self, lane: Lane) -> bool:
        if self._state.spool is not None and not self._state.spool_pause:
            return True
        return lane.outstanding < self._state.settings.connections

    @property
    def _interval(self) -> float:
        return self._state.settings.interval_ms / 1000

    def _next_task(self) -> float | None:
        tasks = [
            self._spooling.next_task(),
            self._count_at if self._counters else None,
            self._warn_at if self._state.dropped > self._warned_of else None,
        ]
        return min((task for task in tasks if task is not None), default=None)

    # Taking

    def _take(self, lane: Lane) -> None:
        batch = Batch(lane.passed, 0, monotonic())
        events = self._popped(lane)
        batch.events, batch.count = events, len(events)
        try:
            if self._spooling.is_wanted:
                self._write_down(lane, batch, events)
        except BaseException:
            batch.documents, batch.count = None, 0
            raise
        finally:
            self._line_up(lane, batch, len(events))

    def _line_up(self, lane: Lane, batch: Batch, taken: int) -> None:
        """Have a batch sent that was made of so many events; those that are not in it are
        lost."""
        state = self._state
        with state.lock:
            lane.taken += taken
            lane.waiting_since = monotonic() if lane.queue else None
            lane.attention = lane.room + 1
            state.refused += taken - batch.count
            if batch.place is not None and lane.outstanding >= state.settings.connections:
                batch.documents = None
            if batch.count:
                lane.ready.append(batch)
                state.ready.notify()
            if state.blocked:
                state.settled.notify_all()

    def _popped(self, lane: Lane) -> list[Any]:
        """Events from the front of the queue."""
        pop = lane.queue.popleft
        most = self._state.settings.batch_size
        if lane.mean_bytes:
            largest = min(_BATCH_BYTES, self._state.settings.spool_max_bytes / _SPOOL_PARTS)
            most = max(1, min(most, int(largest / lane.mean_bytes)))
        events: list[Any] = []
        try:
            for _ in range(most):
                events.append(pop())  # noqa: PERF401 - what was popped must not get lost
        except IndexError:
            pass
        return events

    def _write_down(self, lane: Lane, batch: Batch, events: list[Any]) -> None:
        """Encode ``batch``, and write it into the spool if that takes it."""
        state = self._state
        documents, size = self._encoder.documents(lane, events)
        batch.events, batch.documents, batch.count = None, documents, len(documents)
        with state.lock:
            settings = state.settings
            lane.note_size(size, len(documents), settings.capacity, settings.max_bytes)
        if documents and not state.spool_pause:
            self._spooling.write_down(lane, batch)

    def keep_house(self) -> None:
        """Do what is due by the clock: counters, the spool, a warning of losses."""
        now = monotonic()
        if self._counters and (now >= self._count_at or self._state.flushing):
            self._count_at = now + self._state.settings.counter_seconds
            self._counters.record_all()
        self._spooling.keep_house(now)
        self._warn_of_losses(now)

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
