"""What is said while a database is being reached, so that nobody looks at a silent terminal."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic

from pymongo.errors import AutoReconnect, OperationFailure
from pymongo.topology_description import TopologyDescription
from tenacity import RetryCallState

from datalayer.concurrency.threads import signals_held
from datalayer.connections.connection import Connection
from datalayer.failures.connecting import diagnose

logger = logging.getLogger("datalayer.opening")

_FIRST_WORD_SECONDS = 1.0
"""A server that is well has let us in long before. The driver itself says nothing until the
attempt has ended, which takes ten seconds by default."""

_JOIN_SECONDS = 1.0


@contextmanager
def told_while_waiting(connection: Connection) -> Iterator[Callable[[RetryCallState], None]]:
    """Log a warning when the ``with`` block that reaches ``connection`` takes long.

    It gives what is to be called before each further attempt, as a retry's ``before_sleep``.
    """
    started = monotonic()
    first_word = threading.Timer(_FIRST_WORD_SECONDS, partial(_tell_waiting, connection, started))
    first_word.name, first_word.daemon = f"datalayer-waiting-{connection.alias}", True
    with signals_held():
        first_word.start()

    cancel, tell = first_word.finished.set, retry_teller(connection, started)

    def again(state: RetryCallState) -> None:
        cancel()  # this tells the same, and more
        tell(state)

    try:
        yield again
    finally:
        first_word.cancel()
        first_word.join(_JOIN_SECONDS)  # less only where a log handler hangs


def retry_teller(connection: Connection, started: float) -> Callable[[RetryCallState], None]:
    """``tell_retry`` for a retry policy, which may outlive the connection and mustn't hold it."""
    held = weakref.ref(connection)

    def tell(state: RetryCallState) -> None:
        present = held()
        if present is not None:
            tell_retry(present, started, state)

    return tell


def tell_retry(connection: Connection, started: float, state: RetryCallState) -> None:
    """Log that an attempt has failed and that there will be another one."""
    error = state.outcome.exception() if state.outcome else None
    # The driver's text stays out of the log: only what we make of it is told.
    code = f", error {error.code}" if isinstance(error, OperationFailure) else ""
    _warn(
        connection,
        started,
        f"does not answer ({seen(connection, error)}{code}), attempt "
        f"{state.attempt_number} of {connection.settings.retry_attempts}",
        event="retry",
        attempt=state.attempt_number,
    )


def _tell_waiting(connection: Connection, started: float) -> None:
    what = f"is not connected yet ({seen(connection)})"
    _warn(connection, started, what, event="waiting", attempt=1)


def _warn(connection: Connection, started: float, what: str, *, event: str, attempt: int) -> None:
    elapsed = monotonic() - started
    left = max(connection.settings.retry_max_seconds - elapsed, 0.0)
    logger.warning(
        "%r at %s %s; trying for up to %.0f s more",
        connection.alias,
        ", ".join(connection.settings.hosts),
        what,
        left,
        extra={
            "alias": connection.alias,
            "event": event,
            "attempt": attempt,
            "elapsed": round(elapsed, 3),
        },
    )


def seen(connection: Connection, error: BaseException | None = None) -> str:
    """Why a database can't be used now, in a few words, as the driver sees it."""
    description = connection.monitors.topology.description
    error = error or connection.monitors.topology.last_error
    if error is None and (description is None or _is_silent(description)):
        return "no answer yet"
    if error is None and description is not None and description.has_writable_server():
        return "it was found, and has not let us in yet"
    return diagnose(error or AutoReconnect("no server can be used"), description).saw


def _is_silent(description: TopologyDescription) -> bool:
    servers = description.server_descriptions().values()
    return bool(servers) and not any(server.is_server_type_known for server in servers)
