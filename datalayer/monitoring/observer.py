"""Who is told of each single command and connection, rather than of sums."""

from __future__ import annotations

from typing import Protocol


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
