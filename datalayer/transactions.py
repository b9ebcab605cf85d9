"""Transactions over the documents of one database, or of several on one cluster.

A transaction belongs to the context (thread, or asynchronous task) that began it; documents and
querysets used there take part by themselves.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, ParamSpec, Protocol, TypeVar, overload

import pymongo
from pymongo.client_session import ClientSession
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from tenacity import RetryCallState

from datalayer import indexes
from datalayer.core import DEFAULT_ALIAS, Connection, registry
from datalayer.errors import (
    DataLayerError,
    OutcomeUnknownError,
    TransactionError,
    UnavailableError,
)
from datalayer.retry import retrying

__all__ = [
    "Transaction",
    "bound",
    "current",
    "on_commit",
    "outside",
    "session",
    "transaction",
    "transactional",
]

logger = logging.getLogger("datalayer.transactions")

DEFAULT_SECONDS = 20.0
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Restore = Callable[[], object]

_current: ContextVar[Transaction | None] = ContextVar("datalayer_transaction", default=None)
_bound: ContextVar[Connection | None] = ContextVar("datalayer_session", default=None)


class _Restorable(Protocol):
    def _snapshot(self) -> Restore: ...


class Transaction:
    """A transaction under way: where it runs, what to restore, and what to call afterwards."""

    def __init__(self, aliases: tuple[str, ...], connection: Connection, session: ClientSession):
        self.aliases = aliases
        self.connection = connection
        """The connection that carries the operations of all its aliases."""
        self.session = session
        self.failed = False
        """Whether a block inside it ended with an error: it can only be rolled back."""
        self._after: list[Callable[[], object]] = []
        self._touched: dict[int, tuple[object, Restore]] = {}

    def carries(self, connection: Connection) -> bool:
        """Whether it covers the database of ``connection``, over another connection."""
        return connection is not self.connection and connection.alias in self.aliases

    def remember(self, document: _Restorable) -> None:
        """Note what ``document`` is like before its first change in this transaction."""
        if id(document) not in self._touched:
            self._touched[id(document)] = (document, document._snapshot())

    def call_after(self, function: Callable[[], object]) -> None:
        """Call ``function`` when the transaction is committed."""
        self._after.append(function)

    def restore(self) -> None:
        """Make the documents what they were before."""
        for _, restore in self._touched.values():
            restore()

    def finish(self) -> None:
        """Call what was to be called after the commit, in order; failures are logged."""
        for function in self._after:
            try:
                function()
            except Exception:
                logger.exception(
                    "a function called after the commit failed",
                    extra={"alias": self.connection.alias, "event": "on_commit_failed"},
                )


def current() -> Transaction | None:
    """The transaction of the present context, or ``None``."""
    return _current.get()


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
    outer = _current.get()
    if outer is not None:
        with _joined(outer, named):
            yield outer
        return
    connection = _leader(named)
    with connection.client.start_session() as opened:
        opened.start_transaction(ReadConcern("snapshot"), WriteConcern("majority"))
        begun = Transaction(named, connection, opened)
        ends = monotonic() + timeout
        try:
            with pymongo.timeout(timeout), _entered(begun):
                yield begun
        except BaseException as exc:
            _roll_back(begun)
            _explain(exc, connection)
            raise
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

        @db.transactional(attempts=3)
        def pay(account, amount):
            account.balance -= amount
            account.save()

    Each attempt begins with the documents as they were: those among the arguments in full, the
    others in what was assigned to them. What the function does elsewhere happens with each
    attempt. At most ``attempts`` times, with pauses drawn at random, and ``timeout`` seconds in
    all. Inside another transaction the function joins it and is not repeated by itself.

    Raises what ``db.transaction`` raises, after the last attempt.
    """
    if len(names) == 1 and callable(names[0]):
        return transactional()(names[0])

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            if _current.get() is not None:
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
                retryable=_may_succeed_next_time,
                cancelled=threading.Event(),
                before_sleep=functools.partial(_tell, function.__qualname__),
            )
            return policy(attempt)

        return run

    return decorate


def on_commit(function: Callable[[], object]) -> None:
    """Call ``function`` after the present transaction is committed; never, if it is rolled back.

    Several are called in their order, outside the transaction; one that raises is logged, and
    the others are called all the same. Without a transaction it is called at once.
    """
    begun = _current.get()
    if begun is None:
        function()
    else:
        begun.call_after(function)


@contextmanager
def session(alias: str = DEFAULT_ALIAS) -> Iterator[ClientSession]:
    """Let what the block reads from ``alias`` follow what it wrote and read before, also where
    another member of the replica set answers (causal consistency).

    Raises:
        NotConnectedError: before ``connect``.
        TransactionError: inside a transaction, which has a session of its own.
    """
    if _current.get() is not None:
        raise TransactionError(
            "a transaction has a session of its own; open db.session() around it", alias=alias
        )
    connection = registry.connection(alias)
    with (
        connection.client.start_session(causal_consistency=True) as opened,
        _binding(connection, opened),
    ):
        yield opened


@contextmanager
def outside(connection: Connection) -> Iterator[None]:
    """Let operations over ``connection`` run apart from the session of another client."""
    with connection.client.start_session() as own, own.bind(end_session=False):
        yield


def bound() -> Connection | None:
    """The connection whose session the present context's operations join, or ``None``."""
    return _bound.get()


def _leader(aliases: tuple[str, ...]) -> Connection:
    """The connection that carries the transaction, checked to be able to."""
    connections = [registry.connection(alias) for alias in aliases]
    leader = connections[0]
    if leader.settings.kind == "mongomock":
        raise TransactionError("mongomock has no transactions; use embedded:// for tests of them")
    for other in connections[1:]:
        if not _share_a_cluster(leader, other):
            raise TransactionError(
                f"{leader.alias!r} and {other.alias!r} are not on one cluster, so one transaction "
                "cannot cover both; use a transaction on one of them and db.on_commit for the "
                "other",
                alias=other.alias,
            )
    for connection in connections:
        for model in indexes.models_on(connection.alias):
            if (model, model._get_collection_name()) not in connection.prepared:
                # Not inside, where it would wait for the transaction's own locks.
                indexes.ensure(model, connection.alias)
    return leader


def _share_a_cluster(one: Connection, other: Connection) -> bool:
    return one.client is other.client or bool(_members(one) & _members(other))


def _members(connection: Connection) -> set[tuple[str | None, tuple[str, int | None]]]:
    """The addresses that the servers themselves give, with the name of their set."""
    if connection.settings.kind == "mongomock":
        return set()
    servers = connection.client.topology_description.server_descriptions().values()
    return {(server.replica_set_name, host) for server in servers for host in server.all_hosts}


@contextmanager
def _entered(begun: Transaction) -> Iterator[None]:
    with _binding(begun.connection, begun.session):
        token = _current.set(begun)
        try:
            yield
        finally:
            _current.reset(token)


@contextmanager
def _binding(connection: Connection, opened: ClientSession) -> Iterator[None]:
    with opened.bind(end_session=False):
        token = _bound.set(connection)
        try:
            yield
        finally:
            _bound.reset(token)


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
                raise _rolled_back(alias) from exc
            raise TransactionError(
                f"the server refused to commit on {alias!r} (error {_code(exc)}); nothing was "
                "written",
                alias=alias,
            ) from exc
        return


def _explain(exc: BaseException, connection: Connection) -> None:
    """Raise datalayer's error where the block met the server's; others pass as they are."""
    if isinstance(exc, DataLayerError) or not isinstance(exc, Exception):
        return
    if _is_transient(exc):
        raise _rolled_back(connection.alias) from exc
    code = next((_code(each) for each in _chain(exc) if isinstance(each, OperationFailure)), None)
    if code in (20, 263):  # IllegalOperation, OperationNotSupportedInTransaction
        raise TransactionError(
            f"the server of {connection.alias!r} refuses this in a transaction (error {code}): "
            "transactions need a replica set, and leave out $merge, $out, time-series collections "
            "and building indexes",
            alias=connection.alias,
        ) from exc


def _rolled_back(alias: str) -> UnavailableError:
    return UnavailableError(
        f"the transaction on {alias!r} met another one or a change of the primary and was rolled "
        "back: nothing was written; it can be done again, which @db.transactional does by itself",
        alias=alias,
    )


def _may_succeed_next_time(exc: BaseException) -> bool:
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


def _code(exc: BaseException) -> int | None:
    code: int | None = getattr(exc, "code", None)
    return code


def _tell(name: str, state: RetryCallState) -> None:
    logger.info(
        "%s is run again: its transaction was rolled back",
        name,
        extra={"event": "transaction_retry", "attempt": state.attempt_number},
    )
