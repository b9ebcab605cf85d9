"""How much time the machine leaves to this process: what is late on a machine that is busy with
other things is no fault of what is measured."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable

TICK_SECONDS = 0.02
KEPT_SECONDS = 120.0


def without_waits(since: float, now: float, waits: Iterable[tuple[float, float]]) -> float:
    """The seconds from ``since`` to ``now``, without the ``waits``: when each ended, and how long
    it was. Of one that began before, what is left of it counts."""
    taken = sum(min(seconds, ended - since) for ended, seconds in waits if ended > since)
    return max(now - since - taken, 0.0)


class Scheduling:
    """A thread that does nothing but sleep, and notes by how much it wakes up too late.

    Whatever else had to do something meanwhile was late by as much: it waited for the same
    processors, and for the same interpreter lock.
    """

    def __init__(self) -> None:
        self.worst = self.total = 0.0
        """The longest wait for a processor, and all of them together, in seconds."""
        self._late: deque[tuple[float, float]] = deque(maxlen=int(KEPT_SECONDS / TICK_SECONDS))
        self._woke_at = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scheduling", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._woke_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join(10)

    def seconds_to_act(self, since: float) -> float:
        """The seconds from ``since`` until now, without those that the machine took; 0 for a
        time that is still to come."""
        now = time.monotonic()
        if since >= now:
            return 0.0
        under_way = (now, max(now - self._woke_at - TICK_SECONDS, 0.0))
        return without_waits(since, now, [*self._late, under_way])

    def _run(self) -> None:
        while not self._stopping.is_set():
            time.sleep(TICK_SECONDS)
            woke = time.monotonic()
            late = max(woke - self._woke_at - TICK_SECONDS, 0.0)
            self._late.append((woke, late))
            self._woke_at = woke
            self.worst = max(self.worst, late)
            self.total += late
