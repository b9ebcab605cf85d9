"""What the benchmark makes of the times: percentiles, scores and shares. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = [
    "PERCENTILES",
    "fastest",
    "median",
    "multiple",
    "percentile",
    "percentiles",
    "score",
    "share",
    "table",
]

Choice = TypeVar("Choice", bound=Hashable)

PERCENTILES = (10, 25, 50, 75, 90, 95, 98, 99)


def percentile(seconds: Sequence[float], wanted: int) -> float:
    """The nearest rank as the specification counts it: sorted, ``int(N * p / 100) - 1``.

    With few iterations that would be -1: the first is meant.
    """
    return sorted(seconds)[max(int(len(seconds) * wanted / 100) - 1, 0)]


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """All that the specification asks for, by name (``"50"``)."""
    return {str(wanted): percentile(seconds, wanted) for wanted in PERCENTILES}


def median(seconds: Sequence[float]) -> float:
    """The 50th percentile, which scores rest on."""
    return percentile(seconds, 50)


def score(megabytes: float, seconds: Sequence[float]) -> float:
    """The specification's score, MB/s: the task's size by the median."""
    return megabytes / median(seconds)


def share(baseline: Sequence[float], seconds: Sequence[float]) -> float:
    """The baseline's speed by this one's: 1.0 is as fast, 0.5 takes twice the time.

    The median over the iterations, each against the one of the baseline that was measured beside
    it: so a machine whose speed drifts slows both.
    """
    return statistics.median(theirs / ours for theirs, ours in zip(baseline, seconds, strict=True))


def multiple(baseline: Sequence[float], seconds: Sequence[float]) -> float:
    """How many times the baseline's this one took: 1.0 is as much, 2.0 twice as much. The median
    of the same pairs as a share's."""
    return statistics.median(ours / theirs for theirs, ours in zip(baseline, seconds, strict=True))


def fastest(seconds: Mapping[Choice, Sequence[float]]) -> Choice:
    """The choice whose median is the lowest."""
    return min(seconds, key=lambda choice: statistics.median(seconds[choice]))


def table(
    shares: Mapping[str, Mapping[str, float]],
    libraries: Sequence[str],
    beside: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """A Markdown table of shares, a row for each task; a hyphen where nothing was measured.
    What is given to stand ``beside`` them follows in brackets."""
    rows = [["task", *libraries]]
    for title, row in shares.items():
        brackets = {} if beside is None else {n: f" ({v:.2f})" for n, v in beside[title].items()}
        cells = [
            f"{row[name]:.2f}{brackets.get(name, '')}" if name in row else "-"
            for name in libraries
        ]
        rows.append([title, *cells])
    widths = [max(5, *map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        " | ".join([f"| {title:<{widths[0]}}", *map(str.rjust, cells, widths[1:])]) + " |"
        for title, *cells in rows
    ]
    rule = [f"|{'-' * (widths[0] + 2)}", *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], "|".join(rule) + "|", *lines[1:]])
