"""Durations counted since the start, for systems that work out rates and percentiles."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

BOUNDS_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0,
)  # fmt: skip
"""From a connection that was free at once to an operation that met its deadline of 20 seconds."""
_BOUNDS = tuple(round(bound * 1_000_000) for bound in BOUNDS_SECONDS)


@dataclass(frozen=True)
class Distribution:
    """How many durations there were, and how many of them were up to each of the bounds."""

    up_to: tuple[int, ...]
    count: int
    sum_seconds: float


class Durations:
    """Counts for each bound, which only grow.

    Not thread-safe by itself: its owner calls it while holding the owner's lock.
    """

    __slots__ = ("_count", "_sum", "_up_to")

    def __init__(self) -> None:
        self._up_to = [0] * len(_BOUNDS)
        self._count = self._sum = 0

    def record_all(self, durations: Iterable[int]) -> None:
        """Count durations in microseconds. Many at once cost a fraction of one by one."""
        in_order = sorted(durations)
        for number, bound in enumerate(_BOUNDS):
            self._up_to[number] += bisect_right(in_order, bound)
        self._count += len(in_order)
        self._sum += sum(in_order)

    def distribution(self) -> Distribution:
        """What was counted so far."""
        return Distribution(tuple(self._up_to), self._count, self._sum / 1_000_000)
