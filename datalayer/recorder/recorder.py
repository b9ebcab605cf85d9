"""Takes events from request threads without making them wait, and has them stored in batches by
threads of its own: one that makes batches, and several that send them."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, overload

from datalayer.concurrency.forks import Mark, fork_mark
from datalayer.concurrency.threads import signals_held
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.context.places import places
from datalayer.monitoring import tracing
from datalayer.recorder.backpressure import make_room
from datalayer.recorder.batcher import Batcher
from datalayer.recorder.counters import Counter, Counters
from datalayer.recorder.encoding import (
    fixed_fields,
    place_of,
    stamps_of,
    stored_form,
    target_of,
)
from datalayer.recorder.queues import Placed, Queue, Target
from datalayer.recorder.sender import Sender
from datalayer.recorder.state import Prepare, State
from datalayer.retry import next_pause
from datalayer.settings.recorder_settings import RecorderSettings

if TYPE_CHECKING:
    from datalayer.documents import Document

logger = logging.getLogger("datalayer.recorder")

FLUSH_SECONDS = 5.0
_JOIN_SECONDS = 1.0
_chosen = places.variable.get


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
        self._counters = Counters(self._record_at_home)
        self._begin(settings or RecorderSettings(), prepare)

    @property
    def settings(self) -> RecorderSettings:
        """How events wait, and how they are sent."""
        return self._state.settings

    def configure(self, settings: RecorderSettings) -> None:
        """Use other settings from now on; what waits is kept. A spool that is open stays so."""
        state = self._state
        with state.lock:
            state.settings = settings
            for queue in state.queues.values():
                queue.room, queue.wake_at = settings.capacity, 1
            if self._threads or settings.policy == "spool":
                self._start_threads()
            state.work.notify()

    @overload
    def record(self, event: Document) -> None: ...
    @overload
    def record(self, event: Mapping[str, Any], model: type[Document]) -> None: ...
    def record(self, event: Any, model: Any = None) -> None:
        """Have ``event`` stored: a document, or a dict as it shall be in the database, with its
        model.

        A dict gets an ``_id`` and the model's time stamps where they are missing. It is copied,
        so its keys may be changed afterwards; what its values contain must not be. A document
        gets its id and time stamps here, and may be changed and saved afterwards. Nothing is
        validated.

        It is stored where operations of the model go now, inside ``db.using`` say, although that
        happens later. Takes a microsecond or so; waits for room with the policy ``block`` only.
        Raises nothing because of a database or an event that can't be stored: such events are
        counted.

        Raises:
            TypeError: for what is neither of the two.
        """
        if not self._mark[0]:
            self.after_fork()
        if model is None:
            model = type(event)
            stored = stored_form(event, as_bson=self._state.prepare is None)
            if stored is None:
                self._refuse(model)
                return
        else:
            stored = dict(event)
        if _chosen() is None and registry.router is None and registry.tracers is None:
            queue = self._queues.get(model) or self._open_queue(model)
        else:
            queue, stored = self._placed(model, stored)
        events = queue.events
        events.append(stored)
        if len(events) >= queue.wake_at:
            self._attend(queue)

    def _record_at_home(self, event: Any, model: Any) -> None:
        queue = self._queues.get(model) or self._open_queue(model)
        queue.events.append(event)
        if len(queue.events) >= queue.wake_at:
            self._attend(queue)

    def _placed(self, model: Any, stored: Any) -> tuple[Queue, Any]:
        place = place_of(model)
        is_home = place.alias == model._meta.get("db_alias", DEFAULT_ALIAS)
        key = model if is_home else (model, place.alias)
        queue = self._queues.get(key) or self._open_queue(key)
        span = tracing.current()
        if place.database is not None:
            queue.has_placed = True
        elif span is None:
            return queue, stored
        queue.has_spans = queue.has_spans or span is not None
        return queue, Placed(place.database, stored, span)

    def counter(self, name: str, model: type[Document], **labels: str) -> Counter:
        """A counter whose sums are recorded as ``model``, which has the fields of ``Metric``.

        The same name and labels give the same counter.
        """
        self._open_queue(model)  # here rather than in the batcher, where nobody sees it fail
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
                queue: (queue.passed + len(queue.events) + queue.taking, queue.failures)
                for queue in state.queues.values()
            }
            for queue in goals:
                queue.not_before = 0.0
            state.spool_not_before = 0.0

            def is_done(or_failed: bool = False) -> bool:
                return all(
                    queue.is_done_until(goal) or (or_failed and queue.failures > failures)
                    for queue, (goal, failures) in goals.items()
                )

            if is_done():
                return True
            state.flushing += 1
            state.work.notify()
            state.ready.notify_all()
            try:
                state.settled.wait_for(lambda: is_done(or_failed=True), max(ends - monotonic(), 0))
            finally:
                state.flushing -= 1
            return is_done()

    def may_have_work(self) -> bool:
        """Whether something was recorded in this process at all; costs nothing."""
        return bool(self._queues)

    def stats(self) -> dict[str, Any]:
        """The counters since the start of this process, JSON-ready. Asks nobody."""
        state = self._state
        with state.lock:
            queues = list(state.queues.values())
            queued = sum(len(queue.events) for queue in queues)
            taken = sum(queue.taken for queue in queues)
            oldest = min((t for t in map(Queue.oldest, queues) if t is not None), default=None)
            recorded = taken - state.recovered + state.dropped_from_queues + queued
            waiting = taken + queued - state.written - state.refused - state.lost_at_end
            return {
                "policy": state.settings.policy,
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
            for queue in state.queues.values():
                state.give_up(queue)
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
        self._begin(self.settings, self._state.prepare)

    def owns_current_thread(self) -> bool:
        """Whether the caller is one of the recorder's own threads."""
        return threading.get_ident() in self._state.threads

    def after_fork(self) -> None:
        """Begin anew in a child: the parent stores what it has recorded."""
        state = self._state
        if state.spool is not None:
            state.spool.after_fork()
        self._counters.after_fork()
        # gevent's greenlets go on in a child, where threads are gone: they find nothing to do.
        state.closing = True
        state.queues.clear()
        self._begin(state.settings, state.prepare)

    # Inside

    def _begin(self, settings: RecorderSettings, prepare: Prepare | None) -> None:
        self._state = State(settings, prepare)
        self._queues = self._state.queues
        self._threads: list[threading.Thread] = []
        self._mark: Mark = fork_mark()

    def _refuse(self, model: Any) -> None:
        with self._state.lock:
            self._open_queue(model).taken += 1
            self._state.refused += 1

    def _open_queue(self, key: Any, target: Target | None = None) -> Queue:
        state = self._state
        with state.lock:
            queue = state.queues.get(key)
            if queue is not None:
                return queue
            room = state.settings.capacity
            if isinstance(key, Target):
                queue = Queue(key, None, room)
            else:
                model, alias = key if isinstance(key, tuple) else (key, None)
                target = target or target_of(model, alias)
                queue = Queue(target, model, room, fixed_fields(model), stamps_of(model))
            state.queues[key] = queue
        self._start_threads()
        return queue

    def _attend(self, queue: Queue) -> None:
        """Wake the batcher, and make room where there is none."""
        state = self._state
        if len(queue.events) > queue.room:
            make_room(state, queue)
        if state.closing:
            with state.lock:
                state.give_up(queue)
        elif queue.wake_at <= queue.room:
            with state.lock:
                queue.wake_at = queue.room + 1
                state.work.notify()

    def _start_threads(self) -> None:
        state = self._state
        with state.lock:
            connections = state.settings.connections
            if state.closing or len(self._threads) > connections:
                return
            runs = [Batcher(state, self._counters, self._open_queue).run]
            runs += [Sender(state).run for _ in range(connections)]
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
