"""The way from settings to a connection that is verified, warm, and has its collections and
indexes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import pymongo
from pymongo.errors import PyMongoError

from datalayer import indexes
from datalayer.connections.client import fill_pools
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import ConnectError, IndexBuildError
from datalayer.failures.connecting import cause_of, is_transient
from datalayer.failures.server_codes import is_refusal
from datalayer.retry import retrying
from datalayer.service.connecting_log import retry_teller, told_while_waiting
from datalayer.service.verification import ask_version, refusal, verify

logger = logging.getLogger("datalayer.opening")

_WARM_UP_SECONDS = 2.0
_LAST_ATTEMPT_SECONDS = 0.1
"""No attempt begins with less time left: the driver's search for a server takes up to half a
second longer than its time-out, and connecting ends within half a second of its deadline."""


def connect(
    connection: Connection,
    cancelled: threading.Event,
    before_building: Callable[[], None] | None = None,
) -> str | None:
    """Verify ``connection``, again and again while waiting can help, and make it the one that the
    documents of its alias use. Returns what ``prepare`` does.

    After an error the connection is closed; that of an optional database which is away stays
    open: the driver's monitoring goes on looking for its servers, so it joins by itself.

    Raises:
        ConnectError: when the attempts or the total deadline are used up.
        AuthenticationError, ConfigurationError: at once.
        IndexBuildError: when a required database's collections or indexes can't be built.
    """
    try:
        _establish(connection, cancelled)
    except BaseException as exc:  # also Ctrl-C
        # There is no client where DNS names no hosts for mongodb+srv.
        if can_wait(connection, exc) and not connection.is_unused:
            _wait_for(connection)
        else:
            registry.discard(connection)
        raise
    return prepare(connection, before_building)


def can_wait(connection: Connection, error: BaseException) -> bool:
    """Whether the application can do without a database that could not be connected.

    It can without an optional one that is away. What the server has refused does not heal by
    waiting, nor do bad options.
    """
    away = isinstance(error, ConnectError) and error.reason != "rejected"
    return away and not connection.settings.required


def _establish(connection: Connection, cancelled: threading.Event) -> None:
    settings = connection.settings
    started = monotonic()

    def attempt() -> None:
        connection.client  # noqa: B018 - where DNS has not named the hosts of mongodb+srv yet
        remaining = settings.retry_max_seconds - (monotonic() - started)
        timeout = min(settings.server_selection_timeout_ms / 1000, remaining)
        connection.verified_ms = verify(connection, max(timeout, 0.05))

    try:
        with told_while_waiting(connection) as tell_attempt:
            # Opened here, not where the first attempt asks for it: the driver formats the stack
            # that it is opened from, at the price of a look at each file in it.
            try:
                connection.client  # noqa: B018
            except PyMongoError as exc:
                if not is_transient(exc):
                    raise
            retrying(
                attempts=settings.retry_attempts,
                max_seconds=max(settings.retry_max_seconds - _LAST_ATTEMPT_SECONDS, 0),
                retryable=is_transient,
                cancelled=cancelled,
                before_sleep=tell_attempt,
            )(attempt)
    except PyMongoError as exc:
        error = refusal(connection, exc, monotonic() - started)
        raise error from cause_of(error, exc)
    _warm_up(connection)


def check_again(
    connection: Connection,
    timeout_seconds: float,
    cancelled: threading.Event,
    *,
    attempts: int = 1,
) -> None:
    """See to it that a server that has come back lets the user in.

    One that does not answer, or isn't ready, is asked up to ``attempts`` times, each for
    ``timeout_seconds``. It says neither yes nor no then, and what is done next will tell.

    Raises:
        ConnectError: where it says no. ``AuthenticationError`` for the credentials and the
            privileges.
    """
    started = monotonic()
    policy = retrying(
        attempts=attempts,
        max_seconds=connection.settings.retry_max_seconds,
        retryable=is_transient,
        cancelled=cancelled,
        before_sleep=retry_teller(connection, started),
    )
    try:
        policy(partial(verify, connection, timeout_seconds))
    except PyMongoError as exc:
        if is_refusal(exc):
            error = refusal(connection, exc, monotonic() - started)
            raise error from cause_of(error, exc)
        logger.debug("%s does not answer yet", connection.alias)  # the monitoring's news lag


def _wait_for(connection: Connection) -> None:
    registry.publish(connection)
    if connection.breaker is not None:
        connection.breaker.open()
    connection.monitors.topology.watch(usable=False)


def prepare(
    connection: Connection, before_building: Callable[[], None] | None = None
) -> str | None:
    """Publish a verified connection and build its models' collections and indexes, after
    ``before_building``, which may refuse that.

    Returns what went wrong with the indexes of an optional database; a required one is closed
    again and the error raised. A model whose indexes are missing refuses to write either way.
    """
    registry.publish(connection)
    problem: str | None = None
    if before_building is not None:
        try:
            before_building()
        except BaseException:  # also Ctrl-C
            registry.remove(connection.alias)
            raise
    try:
        indexes.build(connection.alias)
    except IndexBuildError as exc:
        if connection.settings.required:
            registry.remove(connection.alias)
            raise
        logger.error("%s", exc, extra={"alias": connection.alias, "event": "index_failed"})
        problem = exc.message
    connection.connected_since = datetime.now(UTC)
    connection.monitors.topology.watch(usable=True)
    return problem


def _warm_up(connection: Connection) -> None:
    """Open the pool's minimum now, and learn the server's version if it isn't known yet.

    The driver fills the pool too, but up to a second later; what fails here is left to it.
    """
    if connection.settings.min_pool_size > 1 and connection.settings.kind != "mongomock":
        try:
            with pymongo.timeout(_WARM_UP_SECONDS):
                fill_pools(connection.client)
        except PyMongoError:
            logger.debug("the pool of %s was not filled", connection.alias)
    ask_version(connection, _WARM_UP_SECONDS)
