"""Small tools to see what a call does: its error, the limits that it sets, and the commands that
it sends."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pymongo
from pymongo import monitoring

from datalayer.errors import DataLayerError
from datalayer.monitoring.monitors import Monitors

NO_OTHER_LIMIT = {
    "server_selection_timeout_ms": 600_000,
    "socket_timeout_ms": 600_000,
    "operation_timeout_ms": 600_000,
    "wait_queue_timeout_ms": 600_000,
}
"""Settings of a database whose own limits lie beyond that of a test: a call that ends was ended by
what is tested. So no test has to look at a clock, which a busy machine makes wrong."""


def error_of(call: Callable[[], object]) -> DataLayerError | None:
    """Datalayer's error that ``call`` raises, or ``None``; others pass."""
    try:
        call()
    except DataLayerError as exc:
        return exc
    return None


@contextmanager
def limits_given() -> Iterator[list[float]]:
    """The seconds that what is done inside gives to the driver and to sockets."""
    given: list[float] = []
    of_driver, of_socket = pymongo.timeout, socket.create_connection

    def timeout(seconds: float | None) -> Any:
        given.append(float("inf") if seconds is None else seconds)
        return of_driver(seconds)

    def create_connection(address: Any, timeout: Any = None, *args: Any, **options: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("datalayer."):
            given.append(float("inf") if timeout is None else timeout)
        return of_socket(address, timeout, *args, **options)

    with (
        patch.object(pymongo, "timeout", timeout),
        patch.object(socket, "create_connection", create_connection),
    ):
        yield given


class SentCommands(monitoring.CommandListener):
    """The commands that were sent, but those that close cursors which earlier tests left: these
    go when the driver gets round to it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.commands: list[dict[str, Any]] = []

    def clear(self) -> None:
        self.names.clear()
        self.commands.clear()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name != "killCursors":
            self.names.append(event.command_name)
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


@contextmanager
def commands_sent() -> Iterator[SentCommands]:
    """What is sent by the clients that datalayer opens inside."""
    sent, original = SentCommands(), Monitors.listeners
    with patch.object(Monitors, "listeners", lambda self: [*original(self), sent]):
        yield sent
