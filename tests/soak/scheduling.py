"""How much time the machine leaves to this process: what is late on a machine that is busy with
other things is no fault of what is measured."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque

TICK_SECONDS = 0.02
KEPT_SECONDS = 120.0


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
        late = list(self._late)
        begin = bisect_left(late, (since,))
        # A wait that began before ``since`` counts from there on.
        taken = sum(min(seconds, woke - since) for woke, seconds in late[begin:])
        sleeping = max(now - max(self._woke_at, since) - TICK_SECONDS, 0.0)  # under way
        return max(now - since - taken - sleeping, 0.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            time.sleep(TICK_SECONDS)
            woke = time.monotonic()
            late = max(woke - self._woke_at - TICK_SECONDS, 0.0)
            self._late.append((woke, late))
            self._woke_at = woke
            self.worst = max(self.worst, late)
            self.total += late
