"""How a transaction ends: committed, rolled back, or without an answer."""

from __future__ import annotations

import logging
from time import monotonic

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from datalayer.context.deadlines import deadline
from datalayer.errors import (
    DataLayerError,
    DeadlineExceededError,
    OutcomeUnknownError,
    PoolExhaustedError,
    TransactionError,
)
from datalayer.failures.server_codes import ServerCode
from datalayer.failures.tracebacks import without_locals
from datalayer.transactions.failures import over, rolled_back
from datalayer.transactions.state import Transaction

logger = logging.getLogger("datalayer.transactions")

_LEAST_SECONDS = 0.1
_LEAST_SHARE = 0.1  # of a time that is short
_ROUND_TRIPS = 2
_SECONDS_TO_ABORT = 2.0


def hindrance(begun: Transaction, ends: float, timeout: float) -> DataLayerError | None:
    """Why a block that ended without an error can't be committed; ``None`` where it can."""
    alias = begun.connection.alias
    if is_elsewhere(begun):
        return left_elsewhere(begun)
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
    if monotonic() >= ends - _least_seconds(begun, timeout):
        return _too_late(alias, timeout)
    return None


def _least_seconds(begun: Transaction, timeout: float) -> float:
    """What a commit needs to have a fair chance of a reply."""
    servers = begun.connection.client.topology_description.server_descriptions().values()
    trips = [each.round_trip_time or 0.0 for each in servers if each.is_writable]
    return max(min(_LEAST_SECONDS, timeout * _LEAST_SHARE), _ROUND_TRIPS * max(trips, default=0.0))


def is_elsewhere(begun: Transaction) -> bool:
    """Whether its block is left by another flow of control than the one that began it."""
    return not (begun.was_left_here and begun.flow.is_present)


def left_elsewhere(begun: Transaction) -> TransactionError:
    """The error where another flow of control leaves the block."""
    alias = begun.connection.alias
    if begun.flow.is_of_this_process:
        return TransactionError(
            "a transaction must end in the thread that began it, and this one was rolled back; "
            "a generator that yields inside one may be closed elsewhere",
            alias=alias,
        )
    return TransactionError(
        f"this process was forked inside a transaction on {alias!r}, which its parent commits or "
        "rolls back: here nothing was committed, and nothing of db.on_commit() called; leave the "
        "child with os._exit() inside the block, or fork outside of transactions",
        alias=alias,
    )


def roll_back(begun: Transaction) -> None:
    """Undo it, on the server and in memory; a child process leaves both to its parent."""
    if not begun.flow.is_of_this_process:
        return
    try:
        if begun.session.in_transaction:
            # Whatever is left of the time, or the server would keep its locks for a minute.
            with deadline(_SECONDS_TO_ABORT, whatever_is_around=True):
                begun.session.abort_transaction()
    except (PyMongoError, DataLayerError):
        # The server drops it by itself, at the latest after transactionLifetimeLimitSeconds.
        logger.debug("the transaction on %s could not be aborted", begun.connection.alias)
    finally:
        begun.restore()


def commit(begun: Transaction, ends: float, timeout: float) -> None:
    """Commit it, as often as the reply is lost.

    Raises:
        OutcomeUnknownError: when it was sent, and no reply came until ``ends``.
        DeadlineExceededError: when there was no time left to send it, so nothing was written.
        UnavailableError, TransactionError, PoolExhaustedError: when nothing was written.
    """
    traffic = begun.connection.monitors.commands.traffic
    before, state = traffic().sent, begun.session._transaction.state
    while True:
        try:
            with deadline(max(ends - monotonic(), 0.001)):
                begun.session.commit_transaction()
        except (ConnectionFailure, OperationFailure, PoolExhaustedError) as exc:
            without_locals(exc)
            if traffic().sent == before:
                begun.session._transaction.state = state  # the driver takes it for committed
                roll_back(begun)
                raise _unsent(begun, exc, ends, timeout) from exc
            if isinstance(exc, PoolExhaustedError):
                raise _unknown(begun) from exc
            if exc.has_error_label("UnknownTransactionCommitResult"):
                if monotonic() < ends and not exc.timeout:
                    continue  # repeating a commit is safe: the server does it once
                raise _unknown(begun) from exc
            begun.restore()
            raise _refused(begun, exc) from exc
        except BaseException:  # Ctrl-C, say
            begun.doubt()
            raise
        return


def _unsent(begun: Transaction, exc: Exception, ends: float, timeout: float) -> DataLayerError:
    alias = begun.connection.alias
    if isinstance(exc, PoolExhaustedError):
        return exc
    if monotonic() >= ends or (isinstance(exc, OperationFailure) and exc.timeout):
        return _too_late(alias, timeout)
    return rolled_back(alias, "no server that would have taken the commit")


def _too_late(alias: str, timeout: float) -> DeadlineExceededError:
    return DeadlineExceededError(
        f"the transaction on {alias!r} was not done in {timeout:.3g} seconds and was rolled "
        "back: nothing was written; do less in it, or allow more time with "
        "db.transaction(timeout=...)",
        alias=alias,
    )


def _unknown(begun: Transaction) -> OutcomeUnknownError:
    begun.doubt()
    alias = begun.connection.alias
    return OutcomeUnknownError(
        f"the commit on {alias!r} got no reply in time: the transaction is either done as a whole "
        "or not at all; read before doing it again",
        alias=alias,
    )


def _refused(begun: Transaction, exc: PyMongoError) -> DataLayerError:
    alias = begun.connection.alias
    if _code(exc) == ServerCode.NoSuchTransaction:
        return over(alias, begun.told)
    if exc.has_error_label("TransientTransactionError"):
        return rolled_back(alias)
    return TransactionError(
        f"the server refused to commit on {alias!r} (error {_code(exc)}); nothing was written",
        alias=alias,
    )


def _code(exc: PyMongoError) -> int | None:
    return exc.code if isinstance(exc, OperationFailure) else None
