"""What surrounds each operation on documents: refusing it while the database is known to be away,
and telling what came of it when the driver fails."""

from __future__ import annotations

from pymongo.errors import PyMongoError

from datalayer.core import Connection
from datalayer.errors import DataLayerError
from datalayer.monitoring.commands import Traffic
from datalayer.operation_errors import Effect, Operation, is_absence, operation_error
from datalayer.traceback_locals import without_locals

__all__ = ["begin", "failed", "succeeded"]


def begin(connection: Connection) -> Traffic:
    """Call before an operation; what it returns goes to ``failed``.

    Raises:
        UnavailableError: for an optional database that is known to be away.
    """
    if connection.breaker is not None:
        connection.breaker.check()
    return connection.monitors.commands.traffic()


def succeeded(connection: Connection) -> None:
    """Call after an operation that raised nothing."""
    if connection.breaker is not None:
        connection.breaker.succeeded()


def failed(
    connection: Connection,
    exc: PyMongoError,
    name: str,
    collection: str,
    effect: Effect,
    before: Traffic,
) -> DataLayerError | None:
    """The error to raise in the place of ``exc``, or ``None`` to let it pass."""
    without_locals(exc)
    if connection.breaker is not None:
        if is_absence(exc):
            connection.breaker.failed()
        else:
            connection.breaker.succeeded()
    now = connection.monitors.commands.traffic()
    operation = Operation(
        name=name,
        collection=collection,
        alias=connection.alias,
        hosts=connection.settings.hosts,
        effect=effect,
        sent=now.sent - before.sent,
        unanswered=now.unanswered - before.unanswered,
        closed=connection.closed,
    )
    return operation_error(exc, operation)
