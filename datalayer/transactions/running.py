"""``db.transaction`` and ``db.transactional``: a block or a function whose writes are committed as
a whole, or rolled back; the function is run again after a conflict."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import Any, ParamSpec, TypeVar, overload

from bson import DBRef
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern
from tenacity import RetryCallState

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.context.deadlines import deadline
from datalayer.context.decorators import comes_later, name_of, runs_later, with_block
from datalayer.context.session import apart_from_all, take_options_off
from datalayer.errors import DataLayerError, TransactionError, UnavailableError
from datalayer.monitoring import tracing
from datalayer.retry import note_retry, run_again
from datalayer.transactions.cluster import begin_after_builds, leader
from datalayer.transactions.commit import (
    commit,
    hindrance,
    is_elsewhere,
    left_elsewhere,
    roll_back,
)
from datalayer.transactions.failures import caught_by_the_end, explanation
from datalayer.transactions.sessions import own_session
from datalayer.transactions.state import Transaction, current, entered
from datalayer.transactions.threads import watch_starts

logger = logging.getLogger("datalayer.transactions")

DEFAULT_SECONDS = 20.0
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@with_block
def transaction(*aliases: str, timeout: float = DEFAULT_SECONDS) -> Iterator[Transaction]:
    """Commit what the block writes as a whole, or, when it raises, none of it.

        with db.transaction():
            order.save()
            stock.update(dec__count=1)

    Without ``aliases`` it covers ``default``; several must be databases of one cluster. What
    the block does to other databases happens at once and stays. The block and the commit have
    ``timeout`` seconds in all. A block inside another joins it; if the inner one raises, the
    outer one can only be rolled back. So it is after an error of the server, a duplicate key
    say: who catches it inside gets a ``TransactionError`` next.

    The concerns and the read preference of the URI, of ``meta`` and of single calls
    (``write_concern=``) count for nothing inside: the transaction reads one point in time from
    the primary, and its commit is confirmed by a majority.

    After a rollback the documents that the block changed are what they were before. Work that
    may meet others' (write conflicts) belongs into a function with ``@db.transactional``, which
    can be run again: a block cannot.

    Raises:
        NotConnectedError: before ``connect``.
        TransactionError: for databases of several clusters, and a server without transactions;
            after an error inside that was caught.
        DeadlineExceededError: when the block took longer than its time; nothing was written.
        UnavailableError: when it was rolled back for a reason that may be gone the next time.
        OutcomeUnknownError: when the reply to the commit was lost.
    """
    named = aliases or (DEFAULT_ALIAS,)
    outer = current()
    if outer is not None:
        with _joined(outer, named):
            yield outer
        return
    with _traced("transaction", named), _begun(named, timeout) as begun:
        yield begun


def _traced(name: str, aliases: Sequence[str]) -> AbstractContextManager[object]:
    return tracing.span(name, {"datalayer.aliases": list(aliases)})


@contextmanager
def _begun(named: tuple[str, ...], timeout: float) -> Iterator[Transaction]:
    """A transaction that is around the block and joins no other."""
    with apart_from_all():
        connection = leader(named)
    watch_starts()
    take_options_off()
    with own_session(connection) as opened:
        begin_after_builds(opened, map(registry.connection, named))
        opened.start_transaction(
            ReadConcern("snapshot"), WriteConcern("majority"), ReadPreference.PRIMARY
        )
        begun = Transaction(named, connection, opened)
        with _committed(begun, timeout):
            yield begun
    begun.finish()


@contextmanager
def _committed(begun: Transaction, timeout: float) -> Iterator[None]:
    """Commit ``begun`` after the block, or roll it back."""
    try:
        with deadline(timeout) as ends, entered(begun):
            begun.ends = ends
            timeout = min(timeout, ends - monotonic())  # as a deadline around it may say
            yield
    except BaseException as exc:
        roll_back(begun)
        error = _in_its_place(begun, exc)
        if error is not None:
            raise error from exc
        raise
    finally:
        begun.end()
    error = hindrance(begun, ends, timeout)
    if error is not None:
        roll_back(begun)
        raise error
    commit(begun, ends, timeout)


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

    Raises what ``db.transaction`` raises, after the last attempt; and ``TransactionError`` for a
    generator or a coroutine function, which would run after the transaction, and for a function
    that gives one.
    """
    if len(names) == 1 and callable(names[0]):
        return transactional()(names[0])

    return lambda function: _transactional(function, names, attempts, timeout)


def _transactional(
    function: Callable[Arguments, Result], names: Sequence[str], attempts: int, timeout: float
) -> Callable[Arguments, Result]:
    name, aliases = name_of(function), tuple(names) or (DEFAULT_ALIAS,)
    is_later = runs_later(function)

    @functools.wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if is_later:
            raise _refusal(name)
        if current() is not None:
            with transaction(*names):
                return _done(function(*args, **kwargs), name)

        def attempt(seconds_left: float) -> Result:
            with _begun(aliases, seconds_left) as begun:
                for argument in (*args, *kwargs.values()):
                    # Asked for an attribute, a lazy reference may fetch its document.
                    is_reference = isinstance(argument, DBRef)
                    if not is_reference and hasattr(argument, "_snapshot"):
                        begun.remember(argument)
                return _done(function(*args, **kwargs), name)

        with _traced(f"transaction {name}", aliases):
            return run_again(
                attempt,
                attempts=attempts,
                max_seconds=timeout,
                retryable=lambda exc: isinstance(exc, UnavailableError),
                before_sleep=functools.partial(_tell, name),
            )

    return run


def _in_its_place(begun: Transaction, exc: BaseException) -> DataLayerError | None:
    if not begun.flow.is_of_this_process:
        return None  # the child's own affair
    if is_elsewhere(begun):
        return left_elsewhere(begun)
    return explanation(exc, begun.connection.alias, begun.told)


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
    except BaseException as exc:
        outer.failed = outer.failed or caught_by_the_end(exc, outer.told)
        raise
    if not outer.flow.is_of_this_process:
        raise left_elsewhere(outer)
    if outer.ended:
        raise TransactionError(
            f"the transaction on {outer.connection.alias!r} that this block joined has ended "
            "before it, and what the block did afterwards was outside; a generator that yields "
            "inside a transaction leaves it open to its caller",
            alias=outer.connection.alias,
        )


def _done(result: Result, name: str) -> Result:
    if comes_later(result):
        raise _refusal(name)
    return result


def _refusal(name: str) -> TransactionError:
    return TransactionError(
        f"{name} is a generator or a coroutine function, or gives one, whose body runs after the "
        "call, and so after the transaction; use @db.transactional on a function that returns "
        "when it has done its work"
    )


def _tell(name: str, state: RetryCallState) -> None:
    note_retry(state)
    logger.info(
        "%s is run again: its transaction was rolled back",
        name,
        extra={"event": "transaction_retry", "attempt": state.attempt_number},
    )
