"""Does a database's server answer, let us in, and let the user do anything there?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_preferences import ReadPreference

from datalayer.connections.connection import Connection
from datalayer.errors import DataLayerError, UnavailableError
from datalayer.failures.connecting import cause_of, connect_error, no_privilege
from datalayer.failures.server_codes import CREDENTIALS, PASSING, ServerCode, is_refusal
from datalayer.failures.tracebacks import as_cause, without_locals

logger = logging.getLogger("datalayer.opening")

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


def ping_or_explain(connection: Connection, timeout_seconds: float) -> float:
    """``ping`` with errors of ours.

    Raises:
        UnavailableError: when no answer comes within ``timeout_seconds``.
        AuthenticationError: when the server no longer accepts the credentials.
    """
    started = monotonic()
    try:
        return ping(connection, timeout_seconds)
    except PyMongoError as exc:
        if is_refusal(exc):
            error = refusal(connection, exc, monotonic() - started)
            raise error from cause_of(error, exc)
        raise UnavailableError(
            f"{connection.alias!r} at {', '.join(connection.settings.hosts)} did not answer a "
            f"ping within {timeout_seconds:g} s",
            alias=connection.alias,
        ) from as_cause(without_locals(exc))


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


def refusal(connection: Connection, exc: PyMongoError, elapsed: float) -> DataLayerError:
    """datalayer's error for what the driver raised while a database was being reached."""
    return connect_error(
        without_locals(exc),
        alias=connection.alias,
        hosts=connection.settings.hosts,
        description=connection.monitors.topology.description,
        elapsed=elapsed,
    )
