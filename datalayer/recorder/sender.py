"""The threads that send batches to the databases, and try again what could not be stored."""

from __future__ import annotations

import logging
import random
from time import monotonic
from typing import Any

from datalayer.monitoring import tracing
from datalayer.recorder.bulk_insert import Outcome, insert
from datalayer.recorder.encoding import Encoder
from datalayer.recorder.queues import Batch, Queue
from datalayer.recorder.state import State
from datalayer.retry import FIRST_WAIT_SECONDS, next_pause

logger = logging.getLogger("datalayer.recorder")


class Sender:
    """What one of the sending threads does."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._encoder = Encoder(state.prepare, as_bson=False)

    def run(self) -> None:
        """Send until the recorder is closed."""
        while (next_one := self._wait()) is not None:
            self.send(*next_one)

    def send(self, queue: Queue, batch: Batch) -> None:
        """Send one batch, and note what became of it."""
        facts = {"datalayer.alias": queue.target.alias, "datalayer.documents": batch.count}
        with tracing.span(f"recorder send {queue.target.collection}", facts, batch.spans):
            outcome = self._attempt(queue, batch)
            if outcome.again is not None:
                tracing.event("datalayer.retry", {"error.type": outcome.again})
        if outcome.again is None and batch.place is not None and self._state.spool is not None:
            self._state.spool.settle(batch.place)
        with self._state.lock:
            queue.sending.discard(batch)
            if outcome.again is not None:
                self._try_later(queue, batch, outcome.again)
            else:
                self._settle(queue, batch, outcome)
            self._state.settled.notify_all()

    def pick(self) -> tuple[Queue, Batch] | None:
        """The batch to send now, taken from its queue; to be called with the lock held."""
        now = monotonic()
        # Of a database that fails, one batch at a time finds out whether it is back.
        queues = [
            queue
            for queue in self._state.queues.values()
            if queue.ready
            and now >= queue.not_before
            and len(queue.sending) < (1 if queue.pause else self._state.settings.connections)
        ]
        if not queues:
            return None
        queue = min(queues, key=lambda each: each.ready[0].taken_at)
        batch = queue.ready.popleft()
        queue.sending.add(batch)
        return queue, batch

    def _wait(self) -> tuple[Queue, Batch] | None:
        state = self._state
        with state.lock:
            while not state.closing:
                picked = self.pick()
                if picked is not None:
                    return picked
                now = monotonic()
                later = [
                    queue.not_before - now
                    for queue in state.queues.values()
                    if queue.ready and queue.not_before > now
                ]
                state.ready.wait(min(later, default=None))
            return None

    def _attempt(self, queue: Queue, batch: Batch) -> Outcome:
        try:
            if batch.events is not None:
                self._encode(queue, batch, batch.events)
            documents = batch.documents
            if documents is None:
                documents = self._read(batch)
        except Exception as exc:  # noqa: BLE001 - the thread has other batches to send
            return Outcome(again=type(exc).__name__)
        if documents is None and self._state.closing:
            return Outcome(again="the recorder is closed")  # by the next process
        if documents is None:  # the disk has lost them
            return Outcome(refused=batch.count, reasons=frozenset({"unreadable in the spool"}))
        target = queue.target if batch.database is None else queue.target.on(batch.database)
        return insert(target, queue.model, documents, sent_before=batch.sent_before)

    def _read(self, batch: Batch) -> list[bytes] | None:
        spool = self._state.spool
        if spool is None or batch.place is None:
            return None
        try:
            return spool.read(batch.place)
        except (OSError, ValueError):
            spool.set_aside(batch.place)
            batch.place = None
            return None

    def _encode(self, queue: Queue, batch: Batch, events: list[Any]) -> None:
        """Here rather than in the batcher where no spool is: several threads that encode and
        send in turns keep the server busier than one that encodes for all."""
        documents, size = self._encoder.documents(queue, events)
        with self._state.lock:
            settings = self._state.settings
            queue.note_size(size, len(documents), settings.capacity, settings.max_bytes)
            self._state.refused += len(events) - len(documents)
            batch.events, batch.documents, batch.count = None, documents, len(documents)

    def _try_later(self, queue: Queue, batch: Batch, why: str) -> None:
        batch.sent_before = True
        queue.put_back(batch)
        state = self._state
        if batch.place is None and state.spool is not None and not state.spool_pause:
            # It was in hand while the spool was opened or tried again: now that can take it.
            state.spool_pause, state.spool_not_before = FIRST_WAIT_SECONDS, 0.0
            state.work.notify()
        if not queue.pause:
            logger.warning(
                "events for %s of %r wait: %s; it is tried again until they are stored",
                queue.target.collection,
                queue.target.alias,
                why,
                extra={"alias": queue.target.alias, "event": "recorder_waits"},
            )
        pause = next_pause(queue.pause)
        queue.pause = pause
        queue.not_before = monotonic() + pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
        queue.failures += 1
        state.retried += batch.count

    def _settle(self, queue: Queue, batch: Batch, outcome: Outcome) -> None:
        state = self._state
        state.written += outcome.stored
        state.refused += outcome.refused
        if state.spool_is_full:
            state.spool_not_before = 0.0  # there may be room now
        self._log_refusals(queue, outcome)
        if queue.pause:
            queue.pause = queue.not_before = 0.0
            state.ready.notify_all()
            logger.info(
                "events for %s of %r are stored again",
                queue.target.collection,
                queue.target.alias,
                extra={"alias": queue.target.alias, "event": "recorder_recovered"},
            )
        elif queue.ready:
            state.ready.notify()
        state.work.notify()

    @staticmethod
    def _log_refusals(queue: Queue, outcome: Outcome) -> None:
        new = outcome.reasons - queue.logged_reasons
        if new:
            queue.logged_reasons |= new
            logger.warning(
                "events for %s of %r are refused, and left out: %s",
                queue.target.collection,
                queue.target.alias,
                ", ".join(sorted(new)),
                extra={"alias": queue.target.alias, "event": "recorder_refused"},
            )
