"""A latency histogram of fixed size with percentiles over the last five to ten minutes."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_STEPS = 8  # buckets per power of two: a percentile is at most 1/16 away from the true value
_LARGEST_MICROSECONDS = (1 << 36) - 1  # 19 hours; anything longer counts as this
_WINDOW_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many durations were at least ``from_ms`` and less than ``to_ms``."""

    from_ms: float
    to_ms: float
    count: int


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
        in_order = sorted(durations)
        counted = 0
        while counted < len(in_order):  # a step for each bucket, not for each duration
            bucket = _bucket_of(in_order[counted])
            start, width = _start_and_width(bucket)
            end = bisect_left(in_order, start + width, counted)
            end = max(end, counted + 1)  # one beyond the largest lies behind its bucket's end
            current[bucket] = current.get(bucket, 0) + end - counted
            counted = end

    def percentiles_ms(self, *shares: float) -> list[float | None]:
        """The durations in milliseconds below which each share of the values lies.

        ``None`` where nothing was counted in the last five to ten minutes.
        """
        counts = self._counts()
        return [_percentile_ms(counts, share) for share in shares]

    def distribution(self) -> tuple[Bucket, ...]:
        """The buckets that are not empty, the shortest durations first: what the percentiles are
        taken from."""
        return tuple(Bucket(*_limits_ms(bucket), count) for bucket, count in self._counts())

    def _counts(self) -> list[tuple[int, int]]:
        """Each bucket of both windows with its count, in order."""
        now = self._clock()
        if now >= self._window_ends:
            self._turn(now)
        counts = dict(self._previous)
        for bucket, count in self._current.items():
            counts[bucket] = counts.get(bucket, 0) + count
        return sorted(counts.items())

    def _turn(self, now: float) -> None:
        idle = now >= self._window_ends + _WINDOW_SECONDS
        self._previous = {} if idle else self._current
        self._current = {}
        self._window_ends = now + _WINDOW_SECONDS


def percentile_ms(buckets: Sequence[Bucket], share: float) -> float | None:
    """The duration below which ``share`` of the durations in ``buckets`` lies; they may be those
    of several histograms. ``None`` where there are none."""
    counts = [(_bucket_of(round(each.from_ms * 1000)), each.count) for each in buckets]
    return _percentile_ms(sorted(counts), share)


def _bucket_of(microseconds: int) -> int:
    if microseconds < _STEPS * 2:
        return max(microseconds, 0)
    microseconds = min(microseconds, _LARGEST_MICROSECONDS)
    shift = microseconds.bit_length() - 4
    return (shift << 3) + (microseconds >> shift)


def _middle_of(bucket: int) -> float:
    if bucket < _STEPS * 2:
        return float(bucket)
    start, width = _start_and_width(bucket)
    return start + width / 2


def _start_and_width(bucket: int) -> tuple[int, int]:
    """In microseconds."""
    if bucket < _STEPS * 2:
        return bucket, 1
    shift = (bucket >> 3) - 1
    return (bucket - (shift << 3)) << shift, 1 << shift


def _limits_ms(bucket: int) -> tuple[float, float]:
    start, width = _start_and_width(bucket)
    return start / 1000, (start + width) / 1000


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
