"""Runs transactions: begins, commits and rolls them back, and runs functions in them again."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, ParamSpec, TypeVar, overload

import pymongo
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from tenacity import RetryCallState

from datalayer.core import DEFAULT_ALIAS
from datalayer.errors import OutcomeUnknownError, TransactionError
from datalayer.retry import retrying
from datalayer.transactions.cluster import leader
from datalayer.transactions.failures import explain, may_succeed_next_time, rolled_back
from datalayer.transactions.threads import watch_threads
from datalayer.transactions.unit import Transaction, current, entered

__all__ = ["transaction", "transactional"]

logger = logging.getLogger("datalayer.transactions")

DEFAULT_SECONDS = 20.0
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@contextmanager
def transaction(*aliases: str, timeout: float = DEFAULT_SECONDS) -> Iterator[Transaction]:
    """Commit what the block writes as a whole, or, when it raises, none of it.

        with db.transaction():
            order.save()
            stock.update(dec__count=1)

    Without ``aliases`` it covers ``default``; several must be databases of one cluster. What
    the block does to other databases happens at once and stays. The block and the commit have
    ``timeout`` seconds in all. A block inside another joins it; if the inner one raises, the
    outer one can only be rolled back.

    After a rollback the documents that the block changed are what they were before. Work that
    may meet others' (write conflicts) belongs into a function with ``@db.transactional``, which
    can be run again: a block cannot.

    Raises:
        NotConnectedError: before ``connect``.
        TransactionError: for databases of several clusters, and a server without transactions.
        UnavailableError: when it was rolled back for a reason that may be gone the next time.
        OutcomeUnknownError: when the reply to the commit was lost.
    """
    named = aliases or (DEFAULT_ALIAS,)
    outer = current()
    if outer is not None:
        with _joined(outer, named):
            yield outer
        return
    connection = leader(named)
    watch_threads()
    with connection.client.start_session() as opened:
        opened.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
        begun = Transaction(named, connection, opened)
        ends = monotonic() + timeout
        try:
            with pymongo.timeout(timeout), entered(begun):
                yield begun
        except BaseException as exc:
            _roll_back(begun)
            explain(exc, connection)
            raise
        finally:
            begun.ended = True
        if begun.failed:
            _roll_back(begun)
            raise TransactionError(
                "a block inside this transaction ended with an error, so it was rolled back; "
                "let the error pass, or do that part outside",
                alias=connection.alias,
            )
        _commit(begun, ends)
    begun.finish()


@overload
def transactional(function: Callable[Arguments, Result], /) -> Callable[Arguments, Result]: ...


@overload
def transactional(
    *aliases: str, attempts: int = 5, timeout: float = DEFAULT_SECONDS
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]: ...


def transactional(
    *names: Any, attempts: int = 5, timeout: float = DEFAULT_SECONDS
) -> Callable[..., Any]:
    """Run a function in a transaction, again when it met another one or a fail-over.

    For example::

        @db.transactional(attempts=3)
        def pay(account, amount):
            account.balance -= amount
            account.save()

    Each attempt begins with the documents as they were, whether they are arguments or not. What
    the function does elsewhere happens with each attempt. At most ``attempts`` times, with pauses
    drawn at random, and ``timeout`` seconds in all. Inside another transaction the function joins
    it and is not repeated by itself.

    Raises what ``db.transaction`` raises, after the last attempt.
    """
    if len(names) == 1 and callable(names[0]):
        return transactional()(names[0])

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            if current() is not None:
                with transaction(*names):
                    return function(*args, **kwargs)
            ends = monotonic() + timeout

            def attempt() -> Result:
                with transaction(*names, timeout=max(ends - monotonic(), 0.001)) as begun:
                    for argument in (*args, *kwargs.values()):
                        if hasattr(argument, "_snapshot"):
                            begun.remember(argument)
                    return function(*args, **kwargs)

            policy = retrying(
                attempts=attempts,
                max_seconds=timeout,
                retryable=may_succeed_next_time,
                cancelled=threading.Event(),
                before_sleep=functools.partial(_tell, function.__qualname__),
            )
            return policy(attempt)

        return run

    return decorate


@contextmanager
def _joined(outer: Transaction, aliases: tuple[str, ...]) -> Iterator[None]:
    missing = [alias for alias in aliases if alias not in outer.aliases]
    if missing:
        raise TransactionError(
            f"the transaction around this one does not cover {', '.join(map(repr, missing))}; "
            f"name all in the outer one: db.transaction{(*outer.aliases, *missing)!r}",
            alias=missing[0],
        )
    try:
        yield
    except BaseException:
        outer.failed = True
        raise


def _roll_back(begun: Transaction) -> None:
    try:
        if begun.session.in_transaction:
            begun.session.abort_transaction()
    except PyMongoError:
        # The server drops it by itself, at the latest after transactionLifetimeLimitSeconds.
        logger.debug("the transaction on %s could not be aborted", begun.connection.alias)
    finally:
        begun.restore()


def _commit(begun: Transaction, ends: float) -> None:
    alias = begun.connection.alias
    while True:
        try:
            with pymongo.timeout(max(ends - monotonic(), 0.001)):
                begun.session.commit_transaction()
        except (ConnectionFailure, OperationFailure) as exc:
            if exc.has_error_label("UnknownTransactionCommitResult"):
                if monotonic() < ends and not exc.timeout:
                    continue  # repeating a commit is safe: the server does it once
                raise OutcomeUnknownError(
                    f"the commit on {alias!r} got no reply in time: the transaction is either "
                    "done as a whole or not at all; read before doing it again",
                    alias=alias,
                ) from exc
            begun.restore()
            if exc.has_error_label("TransientTransactionError"):
                raise rolled_back(alias) from exc
            raise TransactionError(
                f"the server refused to commit on {alias!r} (error {_code(exc)}); nothing was "
                "written",
                alias=alias,
            ) from exc
        return


def _tell(name: str, state: RetryCallState) -> None:
    logger.info(
        "%s is run again: its transaction was rolled back",
        name,
        extra={"event": "transaction_retry", "attempt": state.attempt_number},
    )


def _code(exc: PyMongoError) -> int | None:
    return exc.code if isinstance(exc, OperationFailure) else None
