"""Puts a distribution of durations on a logarithmic axis. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil, floor, log10

from datalayer.monitoring import Bucket
from datalayer.web.page.formatting import duration

_SHORTEST_MS = 0.001
_COLUMNS_PER_DECADE = 12
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a plot. A bucket that lies in several columns is divided among them."""

    from_ms: float
    to_ms: float
    count: float


@dataclass(frozen=True)
class LogScale:
    """An axis from one power of ten to another, in milliseconds; positions are in percent."""

    low: int
    high: int

    @classmethod
    def of(cls, buckets: Sequence[Bucket]) -> LogScale:
        """The shortest axis that has room for ``buckets``."""
        low = floor(log10(max(buckets[0].from_ms, _SHORTEST_MS)))
        high = ceil(log10(max(bucket.to_ms for bucket in buckets)))
        return cls(low, max(high, low + 1))

    def percent(self, milliseconds: float) -> float:
        """Where a duration is; those beyond an end are at the end."""
        decades = log10(max(milliseconds, _SHORTEST_MS)) - self.low
        return min(max(100 * decades / (self.high - self.low), 0.0), 100.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Powers of ten with their labels, so few that those have room on a phone."""
        step = ceil((self.high - self.low) / _MOST_TICKS)
        powers = range(self.low, self.high + 1, step)
        return [(self.percent(10.0**power), _label(power)) for power in powers]


def columns(buckets: Sequence[Bucket], scale: LogScale) -> list[Column]:
    """The columns that aren't empty, the same number of them for each power of ten."""
    counts: dict[int, float] = {}
    for bucket in buckets:
        for step, part in _parts(bucket, scale):
            counts[step] = counts.get(step, 0.0) + part
    return [
        Column(_edge(step, scale), _edge(step + 1, scale), amount)
        for step, amount in sorted(counts.items())
    ]


def _parts(bucket: Bucket, scale: LogScale) -> Iterator[tuple[int, float]]:
    """What falls into which column, as if the bucket's durations were spread evenly."""
    first = max(bucket.from_ms, _SHORTEST_MS)
    last = max(bucket.to_ms, first + _SHORTEST_MS)
    for step in count(floor((log10(first) - scale.low) * _COLUMNS_PER_DECADE)):
        start, end = _edge(step, scale), _edge(step + 1, scale)
        if start >= last:
            return
        common = min(last, end) - max(first, start)
        if common > 0:
            yield max(step, 0), bucket.count * common / (last - first)


def _edge(step: int, scale: LogScale) -> float:
    """Where a column begins, in milliseconds."""
    return float(10 ** (scale.low + step / _COLUMNS_PER_DECADE))


def _label(power: int) -> str:
    return duration(10.0**power).replace(".0 ", " ")


def round_top(largest: float) -> int:
    """The end of an axis from 0 that has room for ``largest``: even, with one digit."""
    power = int(10 ** floor(log10(max(largest, 1))))
    return next(times * power for times in (2, 4, 6, 8, 10, 20) if times * power >= largest)
