"""What the request threads, the batcher and the senders of a recorder share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from datalayer.recorder.queues import Queue
from datalayer.settings.recorder_settings import RecorderSettings

if TYPE_CHECKING:
    from datalayer.recorder.spool.spool import Spool

Prepare = Callable[[Any, Any], Mapping[str, Any]]
"""Makes the stored document of what was recorded for a model, in the batcher's thread."""


class State:
    """The queues, the counters, and the lock that guards them.

    The lock is re-entrant: a signal's handler or a destructor that records may run anywhere.
    """

    def __init__(self, settings: RecorderSettings, prepare: Prepare | None) -> None:
        self.settings = settings
        self.prepare = prepare
        self.lock = threading.RLock()  # guards the fields below, and the queues
        self.work = threading.Condition(self.lock)
        """Notified when there may be something for the batcher to do."""
        self.ready = threading.Condition(self.lock)
        """Notified when there may be a batch to send."""
        self.settled = threading.Condition(self.lock)
        """Notified when batches are settled or have failed, and when queues have room again."""
        self.queues: dict[Any, Queue] = {}
        """By model; by target for what a spool holds of models that are not imported."""
        self.spool: Spool | None = None
        self.spool_pause = 0.0
        """How long the last wait after a failure of the spool was; 0 while it takes batches."""
        self.spool_not_before = 0.0
        """When to try it again, by the monotonic clock."""
        self.spool_is_full = False
        """Whether it had reached its limit then, rather than that the disk failed."""
        self.flushing = 0
        """How many threads wait for all to be stored."""
        self.blocked = 0
        """How many request threads wait for room."""
        self.closing = False
        self.dropping = threading.Lock()  # guards what request threads drop
        self.dropped_from_queues = 0
        self.written = 0
        self.refused = 0
        self.lost_at_end = 0
        self.spooled = 0
        self.recovered = 0
        """Events that another process had left in the spool."""
        self.retried = 0
        self.threads: set[int] = set()
        """The identities of the recorder's own threads."""

    def give_up(self, queue: Queue) -> None:
        """Count what can't be stored any more; to be called with the lock held."""
        left = len(queue.events)
        queue.events.clear()
        queue.taken += left
        queue.wake_at = 0
        unsafe = [batch for batch in (*queue.ready, *queue.sending) if batch.place is None]
        self.lost_at_end += left + sum(batch.count for batch in unsafe)
        queue.ready.clear()
        queue.sending.clear()

    @property
    def dropped(self) -> int:
        """Events that will not be stored."""
        return self.dropped_from_queues + self.refused + self.lost_at_end
