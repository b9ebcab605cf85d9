"""Takes events from request threads without making them wait, and has them stored in batches."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from time import monotonic
from typing import Any

from datalayer.concurrency.forks import Mark, fork_mark
from datalayer.concurrency.threads import signals_held
from datalayer.documents.engine import written
from datalayer.recorder.collector import Collector
from datalayer.recorder.counters import Counter, Counters
from datalayer.recorder.encoding import fixed_fields, stamps_of, target_of
from datalayer.recorder.queues import Lane, Target
from datalayer.recorder.sender import Sender
from datalayer.recorder.state import Prepare, State
from datalayer.retry import next_pause
from datalayer.settings.recorder_settings import RecorderSettings

logger = logging.getLogger("datalayer.recorder")

FLUSH_SECONDS = 5.0
_ROOM_AGAIN = 0.75
"""The share of a full queue at which those that wait for room go on, so that they seldom wait."""
_JOIN_SECONDS = 1.0


class Recorder:
    """Stores events in batches, from threads of its own, which start with the first event.

    ``prepare`` makes the stored document of what was recorded, in the recorder's thread.
    """

    def __init__(
        self,
        settings: RecorderSettings | None = None,
        *,
        name: str = "datalayer-recorder",
        prepare: Prepare | None = None,
    ) -> None:
        self._name = name
        self._settings = settings or RecorderSettings()
        self._prepare = prepare
        self._dropping = threading.Lock()  # guards the lanes' numbers of dropped events
        self._counters = Counters(self.record)
        self._state: State
        self._begin()

    @property
    def settings(self) -> RecorderSettings:
        """How events wait, and how they are sent."""
        return self._state.settings

    def configure(self, settings: RecorderSettings) -> None:
        """Use other settings from now on; what waits is kept. A spool that is open stays so."""
        state = self._state
        with state.lock:
            self._settings = state.settings = settings
            for lane in state.lanes.values():
                lane.room, lane.attention = settings.capacity, 1
            if self._threads or settings.policy == "spool":
                self._start_threads()
            state.work.notify()

    def record(self, event: Any, model: Any = None) -> None:
        """Have ``event`` stored: a document, or a dict as it shall be in the database, with its
        model.

        A dict gets an ``_id`` and the model's time stamps where they are missing. It is copied,
        so its keys may be changed afterwards; what its values contain must not be. A document
        gets its id and time stamps here, and may be changed and saved afterwards. Nothing is
        validated.

        Takes a microsecond or so; waits for room with the policy ``block`` only. Raises nothing
        because of a database or an event that can't be stored: such events are counted.

        Raises:
            TypeError: for what is neither of the two.
        """
        if not self._mark[0]:
            self.after_fork()
        if model is None:
            model = type(event)
            stored = self._stored_form(event)
            if stored is None:
                return
        else:
            stored = dict(event)
        lane = self._lanes.get(model)
        if lane is None:
            lane = self._open_lane(model)
        queue = lane.queue
        queue.append(stored)
        if len(queue) >= lane.attention:
            self._attend(lane)

    def counter(self, name: str, model: Any, **labels: str) -> Counter:
        """A counter whose sums are recorded as ``model``, which has the fields of ``Metric``.

        The same name and labels give the same counter.
        """
        self._open_lane(model)  # here rather than in the collector, where nobody sees it fail
        self._start_threads()
        found = self._counters.get(name, model, labels)
        with self._state.lock:
            self._state.work.notify()
        return found

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was recorded before is stored; says whether it is.

        At most ``timeout`` seconds (5 unless given); less where a database is away.
        """
        if not self._mark[0]:
            self.after_fork()
        state = self._state
        if self._counters:
            self._counters.record_all()
        ends = monotonic() + (FLUSH_SECONDS if timeout is None else timeout)
        with state.lock:
            goals = {
                lane: (lane.passed + len(lane.queue) + lane.taking, lane.failures)
                for lane in state.lanes.values()
            }
            for lane in goals:
                lane.not_before = 0.0
            state.spool_not_before = 0.0
            if all(lane.is_done_until(goal) for lane, (goal, _) in goals.items()):
                return True
            state.flushing += 1
            state.work.notify()
            state.ready.notify_all()
            try:
                state.settled.wait_for(
                    lambda: all(
                        lane.is_done_until(goal) or lane.failures > failures
                        for lane, (goal, failures) in goals.items()
                    ),
                    max(ends - monotonic(), 0),
                )
            finally:
                state.flushing -= 1
            return all(lane.is_done_until(goal) for lane, (goal, _) in goals.items())

    def may_have_work(self) -> bool:
        """Whether something was recorded in this process at all; costs nothing."""
        return bool(self._lanes)

    def stats(self) -> dict[str, Any]:
        """The counters since the start of this process, JSON-ready. Asks nobody."""
        state = self._state
        with state.lock:
            lanes = list(state.lanes.values())
            queued = sum(len(lane.queue) for lane in lanes)
            taken = sum(lane.taken for lane in lanes)
            at_door = sum(lane.dropped for lane in lanes)
            oldest = min((t for t in map(Lane.oldest, lanes) if t is not None), default=None)
            recorded = taken - state.recovered + at_door + queued
            waiting = taken + queued - state.written - state.refused - state.lost_at_end
            return {
                "policy": self._settings.policy,
                "recorded": recorded,
                "written": state.written,
                "dropped": state.dropped,
                "refused": state.refused,
                "retried": state.retried,
                "spooled": state.spooled,
                "recovered": state.recovered,
                "waiting": waiting,
                "spool_bytes": state.spool.size if state.spool is not None else 0,
                "lag_seconds": 0.0 if oldest is None else round(monotonic() - oldest, 3),
            }

    def close(self, timeout: float | None = None) -> None:
        """Store what waits, for at most ``timeout`` seconds, and take nothing any more.

        What is in the spool stays there for the next process; what else is left counts as
        dropped. Idempotent.
        """
        state = self._state
        if not self._mark[0] or state.closing:
            return
        self.flush(timeout)
        with state.lock:
            state.closing = True
            for condition in (state.work, state.ready, state.settled):
                condition.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)
        with state.lock:
            for lane in state.lanes.values():
                self._give_up(lane)
        if state.lost_at_end:
            logger.warning(
                "%d recorded events were lost: they could not be stored before the end",
                state.lost_at_end,
                extra={"event": "recorder_lost", "dropped": state.lost_at_end},
            )
        if state.spool is not None:
            state.spool.close()

    def discard(self) -> None:
        """Forget what waits in memory, and begin anew with counters at zero.

        For tests: what one has recorded and could not store is not to appear in the next one's
        databases.
        """
        self.close(0)
        self._begin()

    def owns_current_thread(self) -> bool:
        """Whether the caller is one of the recorder's own threads."""
        return threading.get_ident() in self._state.threads

    def after_fork(self) -> None:
        """Begin anew in a child: the parent stores what it has recorded."""
        if self._state.spool is not None:
            self._state.spool.after_fork()
        self._counters.after_fork()
        self._dropping = threading.Lock()
        # gevent's greenlets go on in a child, where threads are gone: they find nothing to do.
        self._state.closing = True
        self._lanes.clear()
        self._begin()

    # Inside

    def _begin(self) -> None:
        self._state = State(self._settings, self._prepare)
        self._lanes = self._state.lanes
        self._threads: list[threading.Thread] = []
        self._mark: Mark = fork_mark()

    def _stored_form(self, document: Any) -> Any:
        to_mongo = getattr(document, "to_mongo", None)
        if to_mongo is None or isinstance(document, type):
            raise TypeError(
                "record() takes a document, or a dict and its model, "
                f"not a {type(document).__name__} alone"
            )
        try:
            stored = written(document)
            if hasattr(document, "_prepare_insert"):
                # Afterwards, since id and time stamps have the stored form already.
                document._prepare_insert()
                values, fields = document._data, document._fields
                for name in (document._meta["id_field"], "created_at", "updated_at"):
                    if name in fields and stored.get(fields[name].db_field) is None:
                        stored[fields[name].db_field] = values.get(name)
            return stored
        except Exception:  # noqa: BLE001 - a request must not fail for its analytics
            with self._state.lock:
                lane = self._open_lane(type(document))
                lane.taken += 1
                self._state.refused += 1
            return None

    def _open_lane(self, model: Any, target: Target | None = None) -> Lane:
        state = self._state
        with state.lock:
            lane = state.lanes.get(model)
            if lane is not None:
                return lane
            if isinstance(model, Target):
                lane = Lane(model, None, self._settings.capacity)
            else:
                lane = Lane(
                    target or target_of(model),
                    model,
                    self._settings.capacity,
                    fixed_fields(model),
                    stamps_of(model),
                )
            state.lanes[model] = lane
        self._start_threads()
        return lane

    def _attend(self, lane: Lane) -> None:
        state = self._state
        if len(lane.queue) > lane.room:
            self._make_room(lane)
        if state.closing:
            with state.lock:
                self._give_up(lane)
        elif lane.attention <= lane.room:
            with state.lock:
                lane.attention = lane.room + 1
                state.work.notify()

    def _make_room(self, lane: Lane) -> None:
        policy = self._settings.policy
        if policy == "drop_oldest":
            self._drop(lane, lane.queue.popleft, at_front=True)
        elif policy != "block" or not self._wait_for_room(lane):
            self._drop(lane, lane.queue.pop, at_front=False)

    def _drop(self, lane: Lane, pop: Any, *, at_front: bool) -> None:
        with self._dropping:
            try:
                pop()
            except IndexError:
                return  # taken meanwhile
            lane.dropped += 1
            lane.skipped += at_front

    def _wait_for_room(self, lane: Lane) -> bool:
        """Whether there is room after at most ``block_ms``; doesn't wait for a database that is
        away."""
        state = self._state
        with state.lock:
            state.blocked += 1
            try:
                state.settled.wait_for(
                    lambda: (
                        len(lane.queue) <= lane.room * _ROOM_AGAIN or lane.pause or state.closing
                    ),
                    self._settings.block_ms / 1000,
                )
            finally:
                state.blocked -= 1
        return len(lane.queue) <= lane.room

    def _give_up(self, lane: Lane) -> None:
        """Count what can't be stored any more; to be called with the lock held."""
        state = self._state
        left = len(lane.queue)
        lane.queue.clear()
        lane.taken += left
        lane.attention = 0
        unsafe = [batch for batch in (*lane.ready, *lane.sending) if batch.place is None]
        state.lost_at_end += left + sum(batch.count for batch in unsafe)
        lane.ready.clear()
        lane.sending.clear()

    def _start_threads(self) -> None:
        state = self._state
        with state.lock:
            if state.closing or len(self._threads) > self._settings.connections:
                return
            collector = Collector(state, self._counters, self._open_lane)
            runs = [collector.run]
            runs += [Sender(state).run for _ in range(self._settings.connections)]
            for run in runs[len(self._threads) :]:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._run, args=(run,), name=name, daemon=True)
                self._threads.append(thread)
                with signals_held():
                    thread.start()
        # Each time anew: what was registered last, runs first.
        atexit.unregister(self.close)
        atexit.register(self.close)

    def _run(self, run: Callable[[], None]) -> None:
        """Run one of the threads. It is not to end by what it meets."""
        state, pause = self._state, 0.0
        state.threads.add(threading.get_ident())
        while True:
            try:
                run()
                return
            except Exception as exc:  # noqa: BLE001 - whatever it is, events have to go on
                logger.error(
                    "a thread of the recorder failed (%s), and goes on after a pause",
                    type(exc).__name__,
                    extra={"event": "recorder_failed"},
                )
            pause = next_pause(pause)
            time.sleep(pause)
