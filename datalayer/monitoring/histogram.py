"""A latency histogram of fixed size with percentiles over the last five to ten minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

__all__ = ["Histogram"]

_STEPS = 8  # buckets per power of two: a percentile is at most 1/16 away from the true value
_LARGEST_MICROSECONDS = (1 << 36) - 1  # 19 hours; anything longer counts as this
_WINDOW_SECONDS = 300.0


class Histogram:
    """Counts durations in buckets that grow with the duration, so memory stays constant.

    Two windows of five minutes take turns: percentiles cover the current one and the one
    before it, and old values leave by themselves. Time is read from ``clock``, a monotonic one
    by default, so that a jump of the wall clock changes nothing.

    Not thread-safe by itself: its owner calls it while holding the owner's lock.
    """

    __slots__ = ("_clock", "_current", "_previous", "_window_ends")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._current: dict[int, int] = {}
        self._previous: dict[int, int] = {}
        self._window_ends = clock() + _WINDOW_SECONDS

    def record(self, seconds: float) -> None:
        """Count one duration in seconds."""
        self.record_all((int(seconds * 1_000_000),))

    def record_all(self, durations: Iterable[int]) -> None:
        """Count durations in microseconds, as of now."""
        now = self._clock()
        if now >= self._window_ends:
            self._turn(now)
        current = self._current
        for microseconds in durations:
            bucket = _bucket_of(microseconds)
            current[bucket] = current.get(bucket, 0) + 1

    def percentiles_ms(self, *shares: float) -> list[float | None]:
        """The durations in milliseconds below which each share of the values lies.

        ``None`` where nothing was counted in the last five to ten minutes.
        """
        now = self._clock()
        if now >= self._window_ends:
            self._turn(now)
        counts = dict(self._previous)
        for bucket, count in self._current.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return [_percentile_ms(sorted(counts.items()), share) for share in shares]

    def _turn(self, now: float) -> None:
        idle = now >= self._window_ends + _WINDOW_SECONDS
        self._previous = {} if idle else self._current
        self._current = {}
        self._window_ends = now + _WINDOW_SECONDS


def _bucket_of(microseconds: int) -> int:
    if microseconds < _STEPS * 2:
        return max(microseconds, 0)
    microseconds = min(microseconds, _LARGEST_MICROSECONDS)
    shift = microseconds.bit_length() - 4
    return (shift << 3) + (microseconds >> shift)


def _middle_of(bucket: int) -> float:
    if bucket < _STEPS * 2:
        return float(bucket)
    shift = (bucket >> 3) - 1
    start = (bucket - (shift << 3)) << shift
    return start + (1 << shift) / 2


def _percentile_ms(counts: list[tuple[int, int]], share: float) -> float | None:
    total = sum(count for _, count in counts)
    if not total:
        return None
    wanted = share * total
    seen = 0
    for bucket, count in counts:
        seen += count
        if seen >= wanted:
            return round(_middle_of(bucket) / 1000, 3)
    return None
