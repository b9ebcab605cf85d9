"""The transaction of the present context, and what takes part in it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from datalayer.contents import without_contents
from datalayer.core import DEFAULT_ALIAS, Connection, registry
from datalayer.errors import DataLayerError, TransactionError
from datalayer.joining import hearing_replies, joined, joining
from datalayer.transactions.failures import NO_SUCH_TRANSACTION, Failure, failure_in, over

__all__ = [
    "Transaction",
    "bound",
    "current",
    "ended_by_server",
    "entered",
    "on_commit",
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
        self.failed: Failure | None = None
        """What a block inside it ended with: it can only be rolled back."""
        self.told: Failure | None = None
        """The error in the server's last reply. If that is the cause, the next reply is that
        there is no such transaction; another one shows that the transaction goes on."""
        self.ended = False
        self._thread = threading.get_ident()
        self._unanswered = self._without_reply()
        self._after: list[Callable[[], object]] = []
        self._touched: dict[int, tuple[object, Note]] = {}

    def carries(self, connection: Connection) -> bool:
        """Whether it covers the database of ``connection``, over another connection."""
        return connection is not self.connection and connection.alias in self.aliases

    def hear(self, reply: Mapping[str, Any]) -> None:
        """Note what a reply of the server to one of its commands tells."""
        if reply.get("code") != NO_SUCH_TRANSACTION:
            self.told = failure_in(reply)

    @property
    def lost_a_reply(self) -> bool:
        """Whether a command of its thread got no answer: it may have happened or not, also where
        the application has caught the error."""
        is_here = self._thread == threading.get_ident()
        return is_here and self._without_reply() > self._unanswered

    @contextmanager
    def apart(self) -> Iterator[None]:
        """For what its thread does beside it: a reply that is lost there says nothing of it."""
        before = self._without_reply()
        try:
            yield
        finally:
            self._unanswered += self._without_reply() - before

    def _without_reply(self) -> int:
        return self.connection.monitors.commands.traffic().unanswered

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
        for number, function in enumerate(self._after, 1):
            try:
                function()
            except Exception as exc:
                logger.error(
                    "a function called after the commit failed",
                    exc_info=without_contents(exc),
                    extra=self._event("on_commit_failed"),
                )
            except BaseException:  # Ctrl-C, say: whoever wants to leave isn't held up
                if number < len(self._after):
                    logger.error(
                        "the commit stands, but %d functions to be called after it were not, as "
                        "the one before them was interrupted",
                        len(self._after) - number,
                        extra=self._event("on_commit_interrupted"),
                    )
                raise

    def _event(self, name: str) -> dict[str, str]:
        return {"alias": self.connection.alias, "event": name}


def current() -> Transaction | None:
    """The transaction of the present context, or ``None``."""
    begun = _current.get()
    # A context copied inside, or that of a generator which was closed elsewhere, still has it.
    return None if begun is None or begun.ended else begun


def on_commit(function: Callable[[], object]) -> None:
    """Call ``function`` after the present transaction is committed; never, if it is rolled back.

    Several are called in their order, outside the transaction; one that raises is logged, and
    the others are called all the same. Without a transaction it is called at once.
    """
    begun = current()
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
    if current() is not None:
        raise TransactionError(
            "a transaction has a session of its own; open db.session() around it", alias=alias
        )
    connection = registry.connection(alias)
    client = connection.client
    # Linearizable reads see what happened before, by themselves; the server takes no time there.
    follows = client.read_concern.level != "linearizable"
    with (
        client.start_session(causal_consistency=follows) as opened,
        _binding(connection, opened, (alias,)),
    ):
        yield opened


def bound(connection: Connection) -> Connection | None:
    """The connection whose session the present context's operations join, or ``None``.

    Raises:
        TransactionError: in a thread that was started inside a transaction on ``connection``.
    """
    mine = joined.get()
    if mine is not None and not mine.session.has_ended:
        return _bound.get()
    begun = started_inside.get()
    if begun is not None:
        begun.refuse_thread(connection)
    return None


def ended_by_server(exc: Exception, connection: Connection) -> DataLayerError | None:
    """The error for an operation over ``connection`` whose transaction the server has given up;
    ``None`` where ``exc`` is another one."""
    begun = current()
    if begun is None or begun.connection is not connection:
        return None
    if not isinstance(exc, OperationFailure) or exc.code != NO_SUCH_TRANSACTION:
        return None
    return over(connection.alias, begun.told)


@contextmanager
def entered(begun: Transaction) -> Iterator[None]:
    """Make ``begun`` the transaction of the present context."""
    with (
        hearing_replies(begun.session, begun.hear),
        _binding(begun.connection, begun.session, begun.aliases),
    ):
        token = _current.set(begun)
        try:
            yield
        finally:
            _current.reset(token)


@contextmanager
def _binding(
    connection: Connection, opened: ClientSession, aliases: tuple[str, ...]
) -> Iterator[None]:
    with joining(opened, aliases):
        token = _bound.set(connection)
        try:
            yield
        finally:
            _bound.reset(token)
