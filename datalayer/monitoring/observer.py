"""Whom the monitors tell: their service of each event, an observer of each single command and
connection, rather than of sums, a tracer, which makes a span of each, and a watcher of what
commands said and were answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

Emit: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Called with an event's name and its facts; must return at once."""
Command: TypeAlias = "Mapping[str, Any] | bytes"
"""As the driver tells it, or the message that carries it."""


class EndedCommand(NamedTuple):
    """A command that got its reply, or none."""

    name: str
    sent: Mapping[str, Any] | bytes | None
    """The command, or the message that carries it: see ``command_facts.command_in``. ``None``
    where it isn't known any more."""
    reply: Any
    """``None`` where it failed."""
    microseconds: int
    error: str | None
    """The server's code or the error's type."""


Watcher: TypeAlias = Callable[[EndedCommand], None]
"""Called in the thread that sent the command, below the code that wanted it: it has to return
at once, and must not raise."""


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


class CommandTracer(Protocol):
    """Told of the commands of one database's client, in the threads that send them. Must not
    raise."""

    def opened(self, listeners: Sequence[object]) -> None:
        """A client was opened, of whose commands ``listeners`` hear."""

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Surrounds an operation of the driver: what it sends, until it has succeeded."""

    def connected(self, seconds: float, address: object) -> None:
        """The operation got a connection to ``address``, after ``seconds``."""

    def not_connected(self, reason: str, address: object) -> None:
        """The operation got no connection; it may look for another one."""

    def succeeded(
        self, name: str, command: Command | None, reply: Mapping[str, Any], microseconds: int
    ) -> None:
        """A command was answered."""

    def failed(
        self,
        name: str,
        command: Command | None,
        failure: Mapping[str, Any],
        microseconds: int,
        address: object,
    ) -> None:
        """A command got an error for an answer, or none."""

    def log_fields(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id`` of the present thread's last command."""
