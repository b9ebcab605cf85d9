"""What became of an operation on documents that failed? Turns what the driver raises into an
error of ours, and tells writes that had no effect from those that may have had one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    InvalidOperation,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WriteError,
)

from datalayer.errors import (
    AuthenticationError,
    DataLayerError,
    DeadlineExceededError,
    NotConnectedError,
    OutcomeUnknownError,
    TransactionError,
    UnavailableError,
)
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import (
    CREDENTIALS,
    NETWORK,
    NOT_PRIMARY,
    PASSING,
    SHUTTING_DOWN,
    ServerCode,
    code_of,
)

Effect = Literal["none", "one", "many"]
"""What an operation changes: nothing, one document as a whole, or several one after the other."""

# Refused before anything was done.
_REFUSED_AS_SECONDARY = frozenset(
    {
        ServerCode.NotWritablePrimary,
        ServerCode.NotPrimaryNoSecondaryOk,
        ServerCode.LegacyNotPrimary,
    }
)
_DONE = ("nInserted", "nUpserted", "nModified", "nRemoved")


@dataclass(frozen=True)
class Operation:
    """An operation that failed, and what the driver's events told of it."""

    name: str
    collection: str
    alias: str
    hosts: Iterable[str]
    effect: Effect
    sent: int
    """How many commands it had sent."""
    unanswered: int
    """How many of them got no reply."""
    closed: bool
    """Whether the connection was closed meanwhile."""
    database: str | None = None
    """Where it went, if not to the alias's own."""

    def __str__(self) -> str:
        database = f" (database {self.database!r})" if self.database else ""
        where = f"{self.alias!r}{database} at {', '.join(self.hosts)}"
        return f"{self.name} on {self.collection} of {where}"


def operation_error(exc: PyMongoError, operation: Operation) -> DataLayerError | None:
    """The error to raise in the place of ``exc``; ``None`` where ``exc`` itself is the answer.

    What the server says about the operation itself (duplicate keys, refused documents) stays as
    it is: MongoEngine knows those errors. No text comes from the driver.
    """
    if isinstance(exc, OperationFailure) and not _is_timeout(exc):
        return _refused(exc, operation)
    if _lacks_sessions(exc):
        return TransactionError(
            f"{operation} was not sent: the server has no sessions, which transactions and "
            "db.session() need; leave them out there, or use a replica set of MongoDB",
            alias=operation.alias,
        )
    if exc.has_error_label("TransientTransactionError"):
        return _unavailable(exc, operation, "inside a transaction, which will be rolled back")
    if not isinstance(exc, (ConnectionFailure, OperationFailure)):
        return _not_connected(operation) if _is_closed(exc, operation) else None
    if operation.effect != "none" and not _had_no_effect(exc, operation):
        return OutcomeUnknownError(
            f"{operation} got no reply that can be relied on ({kind_of(exc)}): it may have "
            "happened, or a part of it; read before writing again",
            alias=operation.alias,
        )
    if operation.closed:
        return _not_connected(operation)
    if exc.timeout and not isinstance(exc, ServerSelectionTimeoutError):
        return DeadlineExceededError(
            f"{operation} did not end before its deadline and had no effect; make it cheaper, or "
            "allow more time with db.deadline(seconds)",
            alias=operation.alias,
        )
    return _unavailable(exc, operation, "it had no effect, and can be tried again")


def _refused(exc: OperationFailure, operation: Operation) -> DataLayerError | None:
    if _only_write_concern_failed(exc):
        return OutcomeUnknownError(
            f"{operation} was written, but not confirmed by as many members as the write concern "
            "asks for: it may exist, and may be rolled back after a fail-over; check rs.status() "
            "for members that are down or lag behind",
            alias=operation.alias,
        )
    code = code_of(exc)
    if code == ServerCode.OutOfDiskSpace:
        return _not_now(exc, operation, "the server's disk is full", "when there is room")
    if code in NOT_PRIMARY | SHUTTING_DOWN:
        # Of an update or a delete alone, rather than of the command: the driver takes it for the
        # operation's own fault, and doesn't look for the next primary.
        why = "the server has ceased to be the primary"
        return _not_now(exc, operation, why, "when there is a new one")
    if code in PASSING and not exc.has_error_label("TransientTransactionError"):
        return _not_now(exc, operation, f"the server can't do it now (error {code})", "later")
    if exc.code in CREDENTIALS:
        why = (
            "the user may not do that; `datalayer doctor --print-roles` prints what it needs"
            if exc.code == ServerCode.Unauthorized
            else "the server does not accept the credentials any more"
        )
        return AuthenticationError(
            f"{operation} was refused (error {exc.code}): {why}",
            alias=operation.alias,
            reason="rejected",
        )
    return None


def _not_now(exc: OperationFailure, operation: Operation, why: str, when: str) -> DataLayerError:
    what = f"{operation} was refused: {why}"
    if _may_be_done_in_part(exc, operation):
        return OutcomeUnknownError(
            f"{what}, and a part of it may have happened; read before writing again {when}",
            alias=operation.alias,
        )
    return UnavailableError(
        f"{what}; it had no effect, and can be tried again {when}", alias=operation.alias
    )


def _may_be_done_in_part(exc: OperationFailure, operation: Operation) -> bool:
    code = code_of(exc)
    if code in NETWORK and operation.effect != "none":
        return True  # the server behind a router may have done it
    if isinstance(exc, BulkWriteError):
        failed = exc.details["writeErrors"][0].get("op", {})
        return any(map(exc.details.get, _DONE)) or bool(failed.get("multi"))
    if operation.sent > 1 and operation.effect != "none":
        return True  # the command before this one may have done it
    # A command that was refused as a whole raises no WriteError; but one that was interrupted in
    # the middle doesn't either.
    interrupted = code in PASSING - NOT_PRIMARY - SHUTTING_DOWN
    return operation.effect == "many" and (interrupted or isinstance(exc, WriteError))


def _only_write_concern_failed(exc: OperationFailure) -> bool:
    if isinstance(exc, BulkWriteError):
        details = exc.details
        return bool(details.get("writeConcernErrors")) and not details.get("writeErrors")
    return isinstance(exc, WriteConcernError)


def _had_no_effect(exc: PyMongoError, operation: Operation) -> bool:
    if not operation.sent:
        return True
    if operation.unanswered or (operation.effect == "many" and operation.sent > 1):
        return False
    if isinstance(exc, NotPrimaryError):
        # The others may have interrupted it after it was done, before it was replicated.
        details = exc.details
        return isinstance(details, Mapping) and details.get("code") in _REFUSED_AS_SECONDARY
    # No server was found for it, or the server gave up at the deadline; and one document is
    # written wholly or not at all.
    knows = isinstance(exc, (OperationFailure, ServerSelectionTimeoutError))
    return knows and operation.effect == "one"


def _is_timeout(exc: OperationFailure) -> bool:
    return exc.timeout and not isinstance(exc, WriteConcernError)


def _lacks_sessions(exc: PyMongoError) -> bool:
    # The driver has no class and no code for it.
    return isinstance(exc, ConfigurationError) and "Sessions are not supported" in str(exc)


def _is_closed(exc: PyMongoError, operation: Operation) -> bool:
    # The pool's error has a class of its own, but no public one.
    is_pool_closed = type(exc).__name__ == "_PoolClosedError"
    return operation.closed and (is_pool_closed or isinstance(exc, InvalidOperation))


def _not_connected(operation: Operation) -> NotConnectedError:
    return NotConnectedError(
        f"{operation} did not run: the database was disconnected meanwhile; call "
        "db.disconnect_all() only when the work has ended",
        alias=operation.alias,
    )


def _unavailable(exc: PyMongoError, operation: Operation, remark: str) -> UnavailableError:
    return UnavailableError(
        f"{operation} failed: the server is not available ({kind_of(exc)}); {remark}",
        alias=operation.alias,
    )
