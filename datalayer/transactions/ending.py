"""How a transaction ends: committed, rolled back, or without an answer."""

from __future__ import annotations

import logging
from time import monotonic

import pymongo
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from datalayer.errors import (
    DataLayerError,
    DeadlineExceededError,
    OutcomeUnknownError,
    PoolExhaustedError,
    TransactionError,
)
from datalayer.traceback_locals import without_locals
from datalayer.transactions.failures import NO_SUCH_TRANSACTION, over, rolled_back
from datalayer.transactions.unit import Transaction

__all__ = ["commit", "hindrance", "roll_back"]

logger = logging.getLogger("datalayer.transactions")


def hindrance(begun: Transaction, ends: float, timeout: float) -> DataLayerError | None:
    """Why a block that ended without an error can't be committed; ``None`` where it can."""
    alias = begun.connection.alias
    if begun.failed is not None and begun.failed.is_transient:
        return rolled_back(alias, f"{begun.failed.what}, which was caught inside it,")
    if begun.failed is not None:
        return TransactionError(
            f"a block inside this transaction ended with an error ({begun.failed.what}), so it "
            "was rolled back; let the error pass, or do that part outside",
            alias=alias,
        )
    if begun.lost_a_reply:
        return rolled_back(alias, "a command without a reply, whose error was caught inside it,")
    if monotonic() >= ends:
        return DeadlineExceededError(
            f"the transaction on {alias!r} was not done in {timeout:.3g} seconds and was rolled "
            "back: nothing was written; do less in it, or allow more time with "
            "db.transaction(timeout=...)",
            alias=alias,
        )
    return None


def roll_back(begun: Transaction) -> None:
    """Undo it, on the server and in memory."""
    try:
        if begun.session.in_transaction:
            begun.session.abort_transaction()
    except (PyMongoError, DataLayerError):
        # The server drops it by itself, at the latest after transactionLifetimeLimitSeconds.
        logger.debug("the transaction on %s could not be aborted", begun.connection.alias)
    finally:
        begun.restore()


def commit(begun: Transaction, ends: float) -> None:
    """Commit it, as often as the reply is lost.

    Raises:
        OutcomeUnknownError: when no reply came until ``ends``.
        UnavailableError, TransactionError, PoolExhaustedError: when nothing was written.
    """
    alias = begun.connection.alias
    was_sent = False
    while True:
        try:
            with pymongo.timeout(max(ends - monotonic(), 0.001)):
                begun.session.commit_transaction()
        except PoolExhaustedError as exc:
            if was_sent:
                raise _unknown(alias) from exc
            begun.restore()
            raise
        except (ConnectionFailure, OperationFailure) as exc:
            without_locals(exc)
            if exc.has_error_label("UnknownTransactionCommitResult"):
                was_sent = True
                if monotonic() < ends and not exc.timeout:
                    continue  # repeating a commit is safe: the server does it once
                raise _unknown(alias) from exc
            begun.restore()
            raise _refused(begun, exc) from exc
        return


def _unknown(alias: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"the commit on {alias!r} got no reply in time: the transaction is either done as a whole "
        "or not at all; read before doing it again",
        alias=alias,
    )


def _refused(begun: Transaction, exc: PyMongoError) -> DataLayerError:
    alias = begun.connection.alias
    if _code(exc) == NO_SUCH_TRANSACTION:
        return over(alias, begun.told)
    if exc.has_error_label("TransientTransactionError"):
        return rolled_back(alias)
    return TransactionError(
        f"the server refused to commit on {alias!r} (error {_code(exc)}); nothing was written",
        alias=alias,
    )


def _code(exc: PyMongoError) -> int | None:
    return exc.code if isinstance(exc, OperationFailure) else None
