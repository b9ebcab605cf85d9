"""Small tools to see what a call does: its error, its time, and whether something comes true."""

from __future__ import annotations

import time
from collections.abc import Callable

from datalayer.errors import DataLayerError


def error_of(call: Callable[[], object]) -> DataLayerError | None:
    """Datalayer's error that ``call`` raises, or ``None``; others pass."""
    try:
        call()
    except DataLayerError as exc:
        return exc
    return None


def seconds_of(call: Callable[[], object]) -> float:
    """How long ``call`` takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until ``condition`` holds; a database that is away holds nothing."""
    ends = time.monotonic() + seconds
    held: list[object] = []
    while error_of(lambda: held.append(condition())) or not held[-1]:
        assert time.monotonic() < ends, f"did not come true within {seconds:g} seconds"
        time.sleep(0.01)
