"""Whom the monitors tell: their service of each event, and an observer of each single command and
connection, rather than of sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

Emit: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Called with an event's name and its facts; must return at once."""


class Observer(Protocol):
    """Told in the thread that made it happen: it has to return at once, and must not raise."""

    def command(self, name: str, microseconds: int, error: str | None) -> None:
        """A command has ended; ``error`` is the server's code or the error's type, if any."""

    def waited(self, seconds: float) -> None:
        """An operation got a connection."""

    def used(self, seconds: float) -> None:
        """An operation gave its connection back."""

    def created(self, seconds: float) -> None:
        """A connection was set up."""
