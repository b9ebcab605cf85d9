"""The transaction of the present context, and what takes part in it."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import Any, Protocol

from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from datalayer.concurrency.flow import Flow
from datalayer.connections.connection import Connection
from datalayer.context.decorators import name_of, runs_later
from datalayer.context.session import Joined, hearing_replies, joined, joining, open_around
from datalayer.errors import ConfigurationError, DataLayerError, TransactionError
from datalayer.failures.redaction import without_contents
from datalayer.failures.server_codes import ServerCode
from datalayer.transactions.failures import Failure, failure_in, over

logger = logging.getLogger("datalayer.transactions")

_innermost = joined.variable


class Note(Protocol):
    """What a document was like; a call makes it that again."""

    def __call__(self) -> object:
        """Put it back."""

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
        self.flow = Flow()
        """The flow of control that began it: no other takes part."""
        self.ends = inf
        """When its time is over, by the clock that is the same in children."""
        self.was_left_here = True
        """Whether its block ended in the context that it began in."""
        self._seen_by_children: mmap.mmap | None = None
        self._is_left_behind = False
        self._unanswered = self._without_reply()
        self._after: list[Callable[[], object]] = []
        self._touched: dict[int, tuple[object, Note]] = {}

    def carries(self, connection: Connection) -> bool:
        """Whether it covers the database of ``connection``, over another connection."""
        return connection is not self.connection and connection.alias in self.aliases

    def hear(self, reply: Mapping[str, Any]) -> None:
        """Note what a reply of the server to one of its commands tells."""
        if reply.get("code") != ServerCode.NoSuchTransaction:
            self.told = failure_in(reply)

    @property
    def lost_a_reply(self) -> bool:
        """Whether a command of its thread got no answer: it may have happened or not, also where
        the application has caught the error."""
        return self.flow.is_present and self._without_reply() > self._unanswered

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
        """Call ``function`` when the transaction is committed.

        Raises:
            TransactionError: after its end.
        """
        if self.ended:
            raise TransactionError(
                f"this transaction on {self.connection.alias!r} has ended; db.on_commit() calls a "
                "function at once where there is none",
                alias=self.connection.alias,
            )
        self._after.append(function)

    def end(self) -> None:
        """Nothing takes part any more: the block has ended, and the commit comes next."""
        self.ended = True
        if self._seen_by_children is not None and self.flow.is_of_this_process:
            self._seen_by_children[0] = 1

    def tell_children(self) -> None:
        """Before a fork: let the child see when the block ends."""
        if self._seen_by_children is None:
            self._seen_by_children = mmap.mmap(-1, 1)  # memory that both share

    def leave_behind(self) -> None:
        """In a child that never comes back to the block: its end is where the parent's is."""
        self._is_left_behind = True

    @property
    def is_over(self) -> bool:
        """Whether its block has ended."""
        if not self._is_left_behind or self.ended:
            return self.ended
        seen = self._seen_by_children
        return monotonic() >= self.ends or (seen is not None and seen[0] == 1)

    def refuse(self, alias: str | None = None) -> None:
        """Raise for another flow of control, which would work outside unnoticed, on one of its
        databases (``alias``) before its end."""
        stranger = self.flow.stranger
        if stranger is None or self.is_over or (alias and alias not in self.aliases):
            return
        own = self.connection.alias
        raise TransactionError(
            f"this process was forked inside a transaction on {own!r}, which is its parent's: "
            "here there is none, and what it does would be outside; fork before the transaction, "
            "or in a function for db.on_commit"
            if stranger == "process"
            else f"this {stranger} was started inside a transaction on {own!r}, or works with a "
            f"copy of its context, and can't take part in it; do its work in the transaction's "
            f"own {stranger}, or start it with db.on_commit",
            alias=alias or own,
        )

    def restore(self) -> None:
        """Make the documents what they were before."""
        # What was noted first comes last: another note may hold a part of it, as it was later.
        for _, restore in reversed(self._touched.values()):
            restore()
        self._touched.clear()

    def doubt(self) -> None:
        """Tell the documents that nobody knows whether what they were changed to is stored."""
        for document, _ in self._touched.values():
            tell = getattr(document, "_outcome_unknown", None)
            if tell is not None:
                tell()

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
    """The transaction that the present flow of control has begun, or ``None``."""
    block = _innermost.get()
    # Most have none; a copy of the context has one that is another flow's, or has ended.
    return None if block is None else _begun_here()


def _begun_here() -> Transaction | None:
    block = joined.innermost()
    begun: Transaction | None = None if block is None else block.value.transaction
    return begun if begun is not None and begun.flow.is_present else None


def on_commit(function: Callable[[], object]) -> None:
    """Call ``function`` after the present transaction is committed; never, if it is rolled back.

    Several are called in their order, outside the transaction; one that raises is logged, and
    the others are called all the same. Without a transaction it is called at once.

    Raises:
        TransactionError: in a thread or a child process that was started inside a transaction,
            until its end.
        ConfigurationError: for a generator or a coroutine function: a call alone runs none.
    """
    if runs_later(function):
        raise ConfigurationError(
            f"{name_of(function)} is a generator or a coroutine function, and calling it after "
            "the commit would do nothing; give db.on_commit() a function that does the work"
        )
    begun = current()
    if begun is not None:
        begun.call_after(function)
        return
    around = open_around()
    if around is not None and around.value.transaction is not None:
        around.value.transaction.refuse()
    function()


def bound(connection: Connection) -> Connection | None:
    """The connection whose session the present context's operations join, or ``None``."""
    if _innermost.get() is None:
        return None
    block = joined.innermost()
    if block is None or not block.value.flow.is_present:
        return None
    own: Connection = block.value.connection
    return own


def ended_by_server(exc: Exception, connection: Connection) -> DataLayerError | None:
    """The error for an operation over ``connection`` whose transaction the server has given up;
    ``None`` where ``exc`` is another one."""
    begun = current()
    if begun is None or begun.connection is not connection:
        return None
    if not isinstance(exc, OperationFailure) or exc.code != ServerCode.NoSuchTransaction:
        return None
    return over(connection.alias, begun.told)


@contextmanager
def entered(begun: Transaction) -> Iterator[None]:
    """Make ``begun`` the transaction of the present context."""
    mine = Joined(begun.session, begun.aliases, begun.connection, begun, begun.flow)
    with hearing_replies(begun.session, begun.hear):
        block = joining(mine)
        try:
            yield
        finally:
            begun.was_left_here = joined.leave(block)
