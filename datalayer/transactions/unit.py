"""The transaction of the present context, and what takes part in it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from pymongo.client_session import ClientSession

from datalayer.contents import without_contents
from datalayer.core import DEFAULT_ALIAS, Connection, registry
from datalayer.errors import TransactionError

__all__ = [
    "Transaction",
    "bound",
    "current",
    "entered",
    "on_commit",
    "outside",
    "session",
    "started_inside",
]

logger = logging.getLogger("datalayer.transactions")

_current: ContextVar[Transaction | None] = ContextVar("datalayer_transaction", default=None)
_bound: ContextVar[Connection | None] = ContextVar("datalayer_session", default=None)
started_inside: ContextVar[Transaction | None] = ContextVar(
    "datalayer_started_inside", default=None
)
"""In a thread: the other thread's transaction that it was started in."""


class Note(Protocol):
    """What a document was like; a call makes it that again."""

    def __call__(self) -> object: ...

    def replaced(self, name: str, value: object) -> None:
        """Take ``value`` for what stands under ``name``, where it is the same in another form."""


class _Restorable(Protocol):
    def _snapshot(self) -> Note: ...


class Transaction:
    """A transaction under way: where it runs, what to restore, and what to call afterwards."""

    def __init__(self, aliases: tuple[str, ...], connection: Connection, session: ClientSession):
        self.aliases = aliases
        self.connection = connection
        """The connection that carries the operations of all its aliases."""
        self.session = session
        self.failed = False
        """Whether a block inside it ended with an error: it can only be rolled back."""
        self.ended = False
        self._after: list[Callable[[], object]] = []
        self._touched: dict[int, tuple[object, Note]] = {}

    def carries(self, connection: Connection) -> bool:
        """Whether it covers the database of ``connection``, over another connection."""
        return connection is not self.connection and connection.alias in self.aliases

    def remember(self, document: _Restorable) -> None:
        """Note what ``document`` is like before its first change in this transaction."""
        if not self.ended and id(document) not in self._touched:
            self.keep(document, document._snapshot())

    def keep(self, document: object, note: Note) -> None:
        """Keep a note of ``document``, unless there is one that is older."""
        self._touched.setdefault(id(document), (document, note))

    def replaced(self, document: object, name: str, value: object) -> None:
        """Let the note of ``document``, if there is one, know of a value's new form."""
        noted = self._touched.get(id(document))
        if noted is not None:
            noted[1].replaced(name, value)

    def call_after(self, function: Callable[[], object]) -> None:
        """Call ``function`` when the transaction is committed."""
        self._after.append(function)

    def refuse_thread(self, connection: Connection) -> None:
        """Raise for a thread that was started inside, and would work outside unnoticed."""
        if not self.ended and connection.alias in self.aliases:
            raise TransactionError(
                f"this thread was started inside a transaction on {connection.alias!r} and can't "
                "take part in it; do its work in the transaction's own thread, or start it with "
                "db.on_commit",
                alias=connection.alias,
            )

    def restore(self) -> None:
        """Make the documents what they were before."""
        # What was noted first comes last: another note may hold a part of it, as it was later.
        for _, restore in reversed(self._touched.values()):
            restore()
        self._touched.clear()

    def finish(self) -> None:
        """Call what was to be called after the commit, in order; failures are logged."""
        self._touched.clear()
        for function in self._after:
            try:
                function()
            except Exception as exc:
                logger.error(
                    "a function called after the commit failed",
                    exc_info=without_contents(exc),
                    extra={"alias": self.connection.alias, "event": "on_commit_failed"},
                )


def current() -> Transaction | None:
    """The transaction of the present context, or ``None``."""
    return _current.get()


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


def bound(connection: Connection) -> Connection | None:
    """The connection whose session the present context's operations join, or ``None``.

    Raises:
        TransactionError: in a thread that was started inside a transaction on ``connection``.
    """
    joined = _bound.get()
    if joined is None:
        begun = started_inside.get()
        if begun is not None:
            begun.refuse_thread(connection)
    return joined


@contextmanager
def entered(begun: Transaction) -> Iterator[None]:
    """Make ``begun`` the transaction of the present context."""
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
