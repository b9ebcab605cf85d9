"""What the benchmark makes of the times: percentiles, scores and shares. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

__all__ = ["PERCENTILES", "median", "percentile", "percentiles", "score", "share", "table"]

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


def table(shares: Mapping[str, Mapping[str, float]], libraries: Sequence[str]) -> str:
    """A Markdown table of shares, a row for each task; a hyphen where nothing was measured."""
    width = max(len(title) for title in ["task", *shares])
    widths = [max(len(library), 5) for library in libraries]
    head = [f"{library:>{size}}" for library, size in zip(libraries, widths, strict=True)]
    lines = [f"| {'task':<{width}} | " + " | ".join(head) + " |"]
    lines.append(f"|{'-' * (width + 2)}|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|")
    for title, row in shares.items():
        cells = [
            f"{row[library]:>{size}.2f}" if library in row else f"{'-':>{size}}"
            for library, size in zip(libraries, widths, strict=True)
        ]
        lines.append(f"| {title:<{width}} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
