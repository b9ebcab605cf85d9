"""Waiting for what comes true soon, as long as a busy machine may take for it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from datalayer.errors import DataLayerError


def wait_until(
    holds: Callable[[], object], seconds: float = 60.0, what: str = "it did not come true"
) -> None:
    """Ask again and again until it holds; a database that is away holds nothing. After ``seconds``
    fail with ``what`` and the last that was seen."""
    ends = monotonic() + seconds
    while True:
        try:
            seen: object = holds()
        except DataLayerError as exc:
            seen = exc
        else:
            if seen:
                return
        assert monotonic() < ends, f"{what} within {seconds:g} seconds; last seen: {seen!r}"
        sleep(0.01)
