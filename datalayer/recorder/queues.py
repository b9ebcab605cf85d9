"""What waits for one collection: its queue of events, and the batches that are made of them."""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import bson

if TYPE_CHECKING:
    from datalayer.recorder.spool.segment import Place

_WEIGHT = 0.2
"""Of the latest batch in the mean size of events."""


@dataclass(frozen=True)
class Target:
    """Where events are stored; all that another process needs in order to store them."""

    model: str
    """The name that MongoEngine knows the model by."""
    alias: str
    collection: str
    time_field: str | None = None
    """Of a time-series collection: the field with the time."""
    database: str | None = None
    """Another one than the alias's own."""

    def on(self, database: str | None) -> Target:
        """The same on another database of the alias's server."""
        return replace(self, database=database)

    def written(self) -> bytes:
        """As it stands in the spool."""
        told = {name: value for name, value in vars(self).items() if name != "database"}
        return bson.encode(told if self.database is None else {**told, "database": self.database})

    @classmethod
    def read(cls, written: bytes) -> Target:
        """What ``written`` made. ``ValueError`` for anything else."""
        try:
            target = cls(**bson.decode(written))
        except Exception as exc:  # whatever bytes may cause
            raise ValueError("it tells no target") from exc
        texts = (target.model, target.alias, target.collection)
        optional = (target.time_field, target.database)
        fit = all(each is None or type(each) is str for each in optional)
        if not (fit and all(type(text) is str and text for text in texts)):
            raise ValueError("it tells no target")
        return target


class Placed(NamedTuple):
    """An event that was recorded for another database than its alias's own, or in a span."""

    database: str | None
    event: Any
    span: str | None = None
    """The span in which it was recorded, where the process is traced."""


@dataclass(eq=False)
class Batch:
    """Events that are sent together."""

    first: int
    """How many events had been taken from its queue before it."""
    count: int
    taken_at: float
    """By the monotonic clock."""
    events: list[Any] | None = None
    """As they were recorded; ``None`` once they are encoded."""
    documents: list[Any] | None = None
    """As BSON or dicts; ``None`` before, and where they are to be read from the spool."""
    place: Place | None = None
    """Where the spool has them."""
    database: str | None = None
    """Where it goes, if not to the alias's own database. A batch goes to one."""
    spans: tuple[str, ...] = ()
    """In which its events were recorded."""
    sent_before: bool = False
    """Whether an earlier attempt, of this process or another, may have stored some of them."""


@dataclass(eq=False)
class Queue:
    """The events for one model: recorded, taken and sent independently of those for others.

    Request threads append to ``events`` and read ``wake_at`` and ``room`` without a lock. All
    else is guarded by the recorder's.
    """

    target: Target
    model: Any
    """``None`` where a spool names a model that this process has not imported."""
    room: int
    """How many events may wait in the queue."""
    fixed: dict[str, Any] = field(default_factory=dict)
    """What every stored document holds."""
    stamps: tuple[str, ...] = ()
    """The keys of the time stamps that are set where they are missing."""
    events: deque[Any] = field(default_factory=deque)
    has_placed: bool = False
    """Whether some events are ``Placed``, in a queue that is shared by all databases: as many as
    there are would need as many queues, each with its room."""
    has_spans: bool = False
    """Whether some events are ``Placed`` for the span in which they were recorded."""
    wake_at: int = 1
    """A queue of this length needs more than appending: waking the batcher, or the policy."""
    ready: deque[Batch] = field(default_factory=deque)
    sending: set[Batch] = field(default_factory=set)
    taking: bool = False
    """Whether the batcher has events in hand that are in no batch yet."""
    taken: int = 0
    """Events that left the queue to be sent."""
    skipped: int = 0
    """Events that were dropped at its front."""
    waiting_since: float | None = None
    """When the batcher first saw what waits in the queue."""
    mean_bytes: float = 0.0
    """The present size of an event as BSON."""
    not_before: float = 0.0
    """When to try again after a failure, by the monotonic clock."""
    pause: float = 0.0
    """How long the last wait after a failure was; 0 while all is well."""
    failures: int = 0
    logged_reasons: frozenset[str] = frozenset()
    """Why events were refused, as far as that was logged."""

    def note_size(self, size: int, count: int, capacity: int, max_bytes: float) -> None:
        """Adapt the room to the size of the latest ``count`` documents."""
        if count:
            weight = _WEIGHT if self.mean_bytes else 1
            self.mean_bytes += weight * (size / count - self.mean_bytes)
            self.room = max(1, min(capacity, int(max_bytes / self.mean_bytes)))

    def put_back(self, batch: Batch) -> None:
        """Put a batch that was taken out back to where it was; behind those for other databases,
        which may take theirs."""
        if self.has_placed:
            self.ready.append(batch)
            return
        bisect.insort(self.ready, batch, key=lambda each: each.first)

    @property
    def outstanding(self) -> int:
        """How many batches are not settled yet."""
        return len(self.ready) + len(self.sending)

    @property
    def passed(self) -> int:
        """How many events have left the front of the queue."""
        return self.taken + self.skipped

    def is_done_until(self, goal: int) -> bool:
        """Whether the first ``goal`` events are settled."""
        if self.taking or (self.passed < goal and self.events):
            return False
        return all(batch.first >= goal for batch in self._first_outstanding())

    def oldest(self) -> float | None:
        """Since when its oldest event waits, by the monotonic clock."""
        times = [batch.taken_at for batch in self._first_outstanding()]
        return min(times, default=self.waiting_since)

    def _first_outstanding(self) -> list[Batch]:
        if self.has_placed:  # in any order
            return [*self.sending, *self.ready]
        return [*self.sending, *([self.ready[0]] if self.ready else [])]
