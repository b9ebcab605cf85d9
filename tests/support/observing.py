"""Small tools to see what a call does: its error, and the limits that it sets."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pymongo

from datalayer.errors import DataLayerError

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
