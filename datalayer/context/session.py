"""Which session do the operations of the present context join? The driver's ``bind()``, with what
it leaves undone for transactions.

Inside one the server takes no read or write concern and no read preference with single commands:
the driver takes them off an operation that is given its session, and leaves them on one that
joins a bound session by itself. And it refuses the operations of all other clients there.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import InvalidOperation
from pymongo.synchronous.client_session import _SESSION

from datalayer.concurrency.flow import Flow, starter_of_greenlet
from datalayer.context.stack import Block, ContextStack
from datalayer.errors import TransactionError


@dataclass(frozen=True, eq=False)
class Joined:
    """The session that operations join which run in the flow of control that has bound it."""

    session: ClientSession
    aliases: tuple[str, ...]
    """Whose operations belong into it."""
    connection: Any
    """The connection that carries them."""
    transaction: Any = None
    """What it was bound for, if not for ``db.session()``."""
    flow: Flow = field(default_factory=Flow)


_MARK = "joined_by_datalayer"
joined: ContextStack[Joined] = ContextStack("datalayer_joined")


def joining(mine: Joined) -> Block[Joined]:
    """Have the operations of the present context join a session, those over its client.

    ``joined.leave`` ends it.
    """
    vars(mine.session)[_MARK] = mine.flow
    joined.innermost()
    before = _SESSION.get()
    block = joined.enter(mine, partial(_unbind, mine.session, before))
    _SESSION.set(mine.session)  # as bind() does, which can't be left out of order
    return block


def open_around() -> Block[Joined] | None:
    """What the present context holds, or that of who has started a greenlet; of another flow of
    control perhaps."""
    block = joined.innermost()
    if block is None and "greenlet" in sys.modules:
        context = starter_of_greenlet()
        block = None if context is None else context.get(joined.variable)
    return None if block is None or block.ended else block


def joins_a_session() -> bool:
    """Whether operations of the present context join a session, datalayer's or one that the
    application has bound."""
    return open_around() is not None or _SESSION.get() is not None


def _unbind(session: ClientSession, before: ClientSession | None) -> bool:
    if _SESSION.get() is not session:
        return False  # the application has bound another one inside
    _SESSION.set(before)
    return True


@contextmanager
def apart_from_all() -> Iterator[None]:
    """Inside the block operations join nothing, whatever is around it."""
    block, bound = joined.variable.get(), _SESSION.get()
    joined.variable.set(None)
    _SESSION.set(None)
    try:
        yield
    finally:
        joined.variable.set(block)
        _SESSION.set(bound)


def was_joined(session: ClientSession | None) -> bool:
    """Whether operations joined ``session``, rather than being given it by the application."""
    return session is not None and _MARK in vars(session)


def is_out_of_place(session: ClientSession) -> bool:
    """Whether ``session``, which operations have joined, has ended or is another flow's."""
    return session.has_ended or not vars(session)[_MARK].is_present


class JoiningClient(MongoClient[Any]):
    """The driver's client. Its operations run by themselves where another client's session is
    joined, or where the context of its block was copied into another flow of control."""

    _alias = ""

    def _get_bound_session(self) -> ClientSession | None:
        if joined.variable.get() is None and "greenlet" not in sys.modules:  # as nearly always
            return super()._get_bound_session()
        block = open_around()
        if block is None:
            return super()._get_bound_session()
        mine = block.value
        if not mine.flow.is_present and _SESSION.get() in (None, mine.session):
            if mine.transaction is not None:
                mine.transaction.refuse(self._alias)
            return None
        try:
            bound = super()._get_bound_session()
        except InvalidOperation:
            if mine.session.client is self:  # the application has bound another one inside
                raise
            if self._alias in mine.aliases:
                raise TransactionError(
                    f"the transaction covers {self._alias!r} over another client, which a class "
                    "of plain MongoEngine and a raw client don't know; use datalayer's base "
                    "classes for what is to take part",
                    alias=self._alias,
                ) from None
            return None
        return None if bound is mine.session and bound.has_ended else bound


@contextmanager
def hearing_replies(
    session: ClientSession, hear: Callable[[Mapping[str, Any]], None]
) -> Iterator[None]:
    """Call ``hear`` with each reply of the server to a command of ``session``, whoever sent it."""
    process: Callable[[Mapping[str, Any]], None] = session._process_response

    def both(reply: Mapping[str, Any]) -> None:
        process(reply)
        hear(reply)

    vars(session)["_process_response"] = both
    try:
        yield
    finally:
        del vars(session)["_process_response"]


def take_options_off() -> None:
    """From now on, let operations that join a transaction leave out the concerns and the read
    preference of their client, database or collection, as those do that are given its session.

    The driver's two methods that choose them are wrapped, once in a process and only where there
    are transactions: so it holds for every way to a collection.
    """
    for kind in (MongoClient, Database, Collection):
        for name in ("_write_concern_for", "_read_preference_for"):
            chooses = getattr(kind, name)
            if not hasattr(chooses, "__wrapped__"):
                setattr(kind, name, _knowing_the_session(chooses))


def _knowing_the_session(chooses: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(chooses)
    def choose(self: Any, session: ClientSession | None) -> Any:
        if session is None and joined.variable.get() is not None:
            session = _client_of(self)._get_bound_session()
        return chooses(self, session)

    return choose


def _client_of(target: Any) -> Any:
    if isinstance(target, Collection):
        return target.database.client
    return target.client if isinstance(target, Database) else target
