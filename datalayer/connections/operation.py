"""What surrounds each operation on documents: refusing it while the database is known to be away,
and telling what came of it when the driver fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from datalayer.connections import breaker_evidence
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.context.deadlines import settle
from datalayer.errors import DataLayerError
from datalayer.failures.operations import Effect, Operation, operation_error
from datalayer.failures.tracebacks import as_cause, without_locals
from datalayer.monitoring.commands import Traffic


def begin(connection: Connection) -> Traffic:
    """Call before an operation; what it returns goes to ``failed``.

    Raises:
        UnavailableError: for an optional database that is known to be away.
    """
    settle()
    if connection.breaker is not None:
        connection.breaker.check()
    return connection.monitors.commands.traffic()


def succeeded(connection: Connection) -> None:
    """Call after an operation that raised nothing."""
    if connection.breaker is not None:
        connection.breaker.succeeded()


def gave_up(connection: Connection, exc: BaseException | None = None) -> None:
    """Call after an operation that ended with an error of its own, ``exc``, and not the driver's,
    or without having asked a server."""
    if isinstance(exc, DataLayerError):  # of our pool, from among the driver's frames
        without_locals(exc)
    if connection.breaker is not None:
        connection.breaker.undecided()


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
        breaker_evidence.weigh(connection, connection.breaker, exc)
    now = connection.monitors.commands.traffic()
    operation = Operation(
        name=name,
        collection=collection,
        alias=connection.alias,
        database=connection.place.database,
        hosts=connection.settings.hosts,
        effect=effect,
        sent=now.sent - before.sent,
        unanswered=now.unanswered - before.unanswered,
        closed=connection.closed or not registry.is_published(connection),
    )
    if isinstance(exc, ServerSelectionTimeoutError):  # no command was sent, so none has failed
        connection.monitors.failures.note(type(exc).__name__, f"{name} {collection}", None)
    return operation_error(exc, operation)


@contextmanager
def asking(connection: Connection, what: str) -> Iterator[None]:
    """Surrounds commands without an effect that belong to no collection, as ``what`` tells them.

    Raises:
        DataLayerError: in the place of the driver's errors, as for operations on documents.
    """
    before = begin(connection)
    try:
        yield
    except PyMongoError as exc:
        error = failed(connection, exc, what, connection.settings.database, "none", before)
        if error is None:
            raise
        # What a server says may hold a document's values: it stays out of tracebacks.
        raise error from (None if isinstance(exc, OperationFailure) else as_cause(exc))
    except BaseException as exc:
        gave_up(connection, exc)
        raise
    if connection.monitors.commands.traffic().sent > before.sent:
        succeeded(connection)
    else:  # all was known already, and no server was asked
        gave_up(connection)
