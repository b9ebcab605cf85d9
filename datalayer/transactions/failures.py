"""What an error inside a transaction means: whether doing it again may help."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo.errors import OperationFailure, PyMongoError

from datalayer.core import Connection
from datalayer.errors import DataLayerError, TransactionError, UnavailableError

__all__ = ["explain", "may_succeed_next_time", "rolled_back"]


def explain(exc: BaseException, connection: Connection) -> None:
    """Raise datalayer's error where the block met the server's; others pass as they are."""
    if isinstance(exc, DataLayerError) or not isinstance(exc, Exception):
        return
    if isinstance(exc, ValueError) and "different Context" in str(exc):  # from a ContextVar
        raise TransactionError(
            "a transaction must end in the thread that began it, and this one was rolled back; "
            "a generator that yields inside one may be closed elsewhere",
            alias=connection.alias,
        ) from exc
    if _is_transient(exc):
        raise rolled_back(connection.alias) from exc
    codes = [each.code for each in _chain(exc) if isinstance(each, OperationFailure)]
    code = codes[0] if codes else None
    if code in (20, 263):  # IllegalOperation, OperationNotSupportedInTransaction
        raise TransactionError(
            f"the server of {connection.alias!r} refuses this in a transaction (error {code}): "
            "transactions need a replica set, and leave out $merge, $out, time-series collections "
            "and building indexes",
            alias=connection.alias,
        ) from exc


def rolled_back(alias: str) -> UnavailableError:
    """The error for a transaction that the server gave up, through no fault of its own."""
    return UnavailableError(
        f"the transaction on {alias!r} met another one or a change of the primary and was rolled "
        "back: nothing was written; it can be done again, which @db.transactional does by itself",
        alias=alias,
    )


def may_succeed_next_time(exc: BaseException) -> bool:
    """Whether the transaction had no effect for a reason that may be gone the next time."""
    return isinstance(exc, UnavailableError) or _is_transient(exc)


def _is_transient(exc: BaseException) -> bool:
    # MongoEngine raises errors of its own, with the driver's as their context.
    return any(
        isinstance(each, PyMongoError) and each.has_error_label("TransientTransactionError")
        for each in _chain(exc)
    )


def _chain(exc: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = exc
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
