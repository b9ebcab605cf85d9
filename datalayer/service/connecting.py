"""The steps from settings to a verified, warm and prepared connection."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_preferences import ReadPreference

from datalayer import indexes
from datalayer.connections.client import fill_pools
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import ConnectError, DataLayerError, IndexBuildError
from datalayer.failures.connecting import cause_of, connect_error, is_transient, no_privilege
from datalayer.failures.server_codes import CREDENTIALS, PASSING, ServerCode, is_refusal
from datalayer.failures.tracebacks import without_locals
from datalayer.retry import retrying
from datalayer.service.connecting_log import retry_teller, told_while_waiting

logger = logging.getLogger("datalayer.opening")

_WARM_UP_SECONDS = 2.0
_LAST_ATTEMPT_SECONDS = 0.1
"""No attempt begins with less time left: the driver's search for a server takes up to half a
second longer than its time-out, and connecting ends within half a second of its deadline."""


_NEVER_THE_PRIMARY_INSTEAD = frozenset(
    {ReadPreference.NEAREST.mode, ReadPreference.SECONDARY.mode}
)
"""Reads with these fail where the set has no such member, and with the tags asked for."""


def ping(connection: Connection, timeout_seconds: float) -> float:
    """Ask the primary for a sign of life; returns the milliseconds that it took.

    Raises the driver's error when no answer comes in time.
    """
    started = monotonic()
    with pymongo.timeout(timeout_seconds):
        connection.client.admin.command("ping")
    return (monotonic() - started) * 1000


def ask_version(connection: Connection, timeout_seconds: float) -> None:
    """Learn the server's version, once for each connection; a failure leaves it unknown."""
    if connection.server_version is None:
        try:
            with pymongo.timeout(timeout_seconds):
                connection.server_version = connection.client.server_info()["version"]
        except PyMongoError:
            logger.debug("%s did not tell its version", connection.alias)


def verify(connection: Connection, timeout_seconds: float) -> float:
    """Ask the primary for a sign of life and for what the user may do; returns milliseconds.

    Where reads go to other members, whether there is one. A ping takes no privilege. This asks,
    with one command too, how a query would be carried out: that takes the privilege of the query,
    carries out nothing, and the answer names the server's version besides.

    Raises:
        AuthenticationError: for a user that may do nothing in its database, and where the server
            wants one and got none.
        PyMongoError: when no answer comes in time, the server isn't ready, or the credentials
            are refused.
    """
    if connection.settings.kind == "mongomock":
        return ping(connection, timeout_seconds)
    started = monotonic()
    with pymongo.timeout(timeout_seconds):
        try:
            told = connection.database.command(
                "explain", {"find": "datalayer", "limit": 1}, verbosity="queryPlanner"
            )
        except OperationFailure as exc:
            if exc.code not in CREDENTIALS | PASSING:
                return ping(connection, timeout_seconds)  # it may imitate MongoDB in part
            if exc.code != ServerCode.Unauthorized:
                raise
            _check_privileges(connection, exc)
        else:
            connection.server_version = told.get("serverInfo", {}).get("version")
        preference = connection.client.read_preference
        if preference.mode in _NEVER_THE_PRIMARY_INSTEAD:
            connection.client.admin.command("ping", read_preference=preference)
    return (monotonic() - started) * 1000


def _check_privileges(connection: Connection, refused: OperationFailure) -> None:
    """Raise ``AuthenticationError`` unless the user may do anything else in the database."""
    settings = connection.settings
    logged_in = connection.database.command("connectionStatus", showPrivileges=True)
    info = logged_in["authInfo"]
    if not _may_do_something(info, settings.database):
        without_locals(refused)
        raise no_privilege(
            alias=connection.alias,
            hosts=settings.hosts,
            database=settings.database,
            logged_in=bool(info["authenticatedUsers"]),
        ) from None


def _may_do_something(info: Mapping[str, Any], database: str) -> bool:
    resources = [each["resource"] for each in info["authenticatedUserPrivileges"]]
    return any(each.get("anyResource") or each.get("db") in ("", database) for each in resources)


def establish(connection: Connection, cancelled: threading.Event) -> None:
    """Verify a connection, again and again while waiting can help, and warm it up.

    Raises:
        ConnectError: when the attempts or the total deadline are used up.
        AuthenticationError, ConfigurationError: at once.
    """
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
            _open(connection)
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


def _open(connection: Connection) -> None:
    try:
        connection.client  # noqa: B018
    except PyMongoError as exc:
        if not is_transient(exc):
            raise


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


def refusal(connection: Connection, exc: PyMongoError, elapsed: float) -> DataLayerError:
    """datalayer's error for what the driver raised while a database was being reached."""
    return connect_error(
        without_locals(exc),
        alias=connection.alias,
        hosts=connection.settings.hosts,
        description=connection.monitors.topology.description,
        elapsed=elapsed,
    )


def can_wait(connection: Connection, error: DataLayerError) -> bool:
    """Whether the application can do without a database whose ``establish`` has failed.

    It can without an optional one that is away. What the server has refused does not heal by
    waiting, nor do bad options.
    """
    away = isinstance(error, ConnectError) and error.reason != "rejected"
    return away and not connection.settings.required


def stay_unavailable(connection: Connection, *, waits: bool) -> bool:
    """After a failed ``establish``: keep the client of a database that ``waits``, or close it.

    The driver's monitoring goes on looking for the servers of a client that was kept, so the
    database joins by itself. There is no client where DNS names no hosts for ``mongodb+srv``.
    """
    if not waits or connection.is_unused:
        connection.close()
        registry.release_unused()
        return False
    registry.publish(connection)
    if connection.breaker is not None:
        connection.breaker.open()
    connection.monitors.topology.watch(usable=False)
    return True


def prepare(connection: Connection) -> str | None:
    """Publish a verified connection and build its models' collections and indexes.

    Returns what went wrong with the indexes of an optional database; a required one is closed
    again and the error raised. A model whose indexes are missing refuses to write either way.
    """
    registry.publish(connection)
    problem: str | None = None
    try:
        indexes.build(connection.alias)
    except IndexBuildError as exc:
        if connection.settings.required:
            registry.remove(connection.alias)
            raise
        logger.error("%s", exc, extra={"alias": connection.alias, "event": "index_failed"})
        problem = exc.message
    connection.mark_connected()
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
