"""The threads that send batches to the databases, and try again what could not be stored."""

from __future__ import annotations

import logging
import random
from time import monotonic
from typing import Any

from datalayer.recorder.delivery import Outcome, deliver
from datalayer.recorder.encoding import Encoder
from datalayer.recorder.queues import Batch, Lane
from datalayer.recorder.state import State
from datalayer.retry import next_pause

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

    def send(self, lane: Lane, batch: Batch) -> None:
        """Send one batch, and note what became of it."""
        outcome = self._attempt(lane, batch)
        if outcome.again is None and batch.place is not None and self._state.spool is not None:
            self._state.spool.settle(batch.place)
        with self._state.lock:
            lane.sending.discard(batch)
            if outcome.again is not None:
                self._try_later(lane, batch, outcome.again)
            else:
                self._settle(lane, batch, outcome)
            self._state.settled.notify_all()

    def pick(self) -> tuple[Lane, Batch] | None:
        """The batch to send now, taken from its lane; to be called with the lock held."""
        now = monotonic()
        # Of a database that fails, one batch at a time finds out whether it is back.
        lanes = [
            lane
            for lane in self._state.lanes.values()
            if lane.ready
            and now >= lane.not_before
            and len(lane.sending) < (1 if lane.pause else self._state.settings.connections)
        ]
        if not lanes:
            return None
        lane = min(lanes, key=lambda each: each.ready[0].taken_at)
        batch = lane.ready.popleft()
        lane.sending.add(batch)
        return lane, batch

    def _wait(self) -> tuple[Lane, Batch] | None:
        state = self._state
        with state.lock:
            while not state.closing:
                picked = self.pick()
                if picked is not None:
                    return picked
                now = monotonic()
                later = [
                    lane.not_before - now
                    for lane in state.lanes.values()
                    if lane.ready and lane.not_before > now
                ]
                state.ready.wait(min(later, default=None))
            return None

    def _attempt(self, lane: Lane, batch: Batch) -> Outcome:
        try:
            if batch.events is not None:
                self._encode(lane, batch, batch.events)
            documents = batch.documents
            if documents is None:
                documents = self._read(batch)
        except Exception as exc:  # noqa: BLE001 - the thread has other batches to send
            return Outcome(again=type(exc).__name__)
        if documents is None and self._state.closing:
            return Outcome(again="the recorder is closed")  # by the next process
        if documents is None:  # the disk has lost them
            return Outcome(refused=batch.count, reasons=frozenset({"unreadable in the spool"}))
        return deliver(lane.target, lane.model, documents, sent_before=batch.sent_before)

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

    def _encode(self, lane: Lane, batch: Batch, events: list[Any]) -> None:
        """Here rather than in the collector where no spool is: several threads that encode and
        send in turns keep the server busier than one that encodes for all."""
        documents, size = self._encoder.documents(lane, events)
        with self._state.lock:
            settings = self._state.settings
            lane.note_size(size, len(documents), settings.capacity, settings.max_bytes)
            self._state.refused += len(events) - len(documents)
            batch.events, batch.documents, batch.count = None, documents, len(documents)

    def _try_later(self, lane: Lane, batch: Batch, why: str) -> None:
        batch.sent_before = True
        lane.line_up(batch)
        if batch.place is None:  # it was in hand while the spool was opened or tried again
            self._state.let_spool_take_what_waits()
        if not lane.pause:
            logger.warning(
                "events for %s of %r wait: %s; it is tried again until they are stored",
                lane.target.collection,
                lane.target.alias,
                why,
                extra={"alias": lane.target.alias, "event": "recorder_waits"},
            )
        pause = next_pause(lane.pause)
        lane.pause = pause
        lane.not_before = monotonic() + pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
        lane.failures += 1
        self._state.retried += batch.count

    def _settle(self, lane: Lane, batch: Batch, outcome: Outcome) -> None:
        state = self._state
        state.written += outcome.stored
        state.refused += outcome.refused
        if state.spool_is_full:
            state.spool_not_before = 0.0  # there may be room now
        self._tell_of_refusals(lane, outcome)
        if lane.pause:
            lane.pause = lane.not_before = 0.0
            state.ready.notify_all()
            logger.info(
                "events for %s of %r are stored again",
                lane.target.collection,
                lane.target.alias,
                extra={"alias": lane.target.alias, "event": "recorder_recovered"},
            )
        elif lane.ready:
            state.ready.notify()
        state.work.notify()

    @staticmethod
    def _tell_of_refusals(lane: Lane, outcome: Outcome) -> None:
        new = outcome.reasons - lane.told
        if new:
            lane.told |= new
            logger.warning(
                "events for %s of %r are refused, and left out: %s",
                lane.target.collection,
                lane.target.alias,
                ", ".join(sorted(new)),
                extra={"alias": lane.target.alias, "event": "recorder_refused"},
            )
