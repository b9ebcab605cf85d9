"""Events for the analytics database, taken from request threads without making them wait."""

from __future__ import annotations

from datalayer.recorder.counters import Counter
from datalayer.recorder.recorder import Recorder

__all__ = ["Counter", "Recorder"]
