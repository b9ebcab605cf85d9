"""How the operations of the present context join a session: the driver's ``bind()``, with what it
leaves undone for transactions.

Inside one the server takes no read or write concern and no read preference with single commands:
the driver takes them off an operation that is given its session, and leaves them on one that
joins a bound session by itself. And it refuses the operations of all other clients there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import InvalidOperation

from datalayer.errors import TransactionError

__all__ = [
    "JoiningClient",
    "hearing_replies",
    "joined",
    "joining",
    "take_options_off",
    "was_joined",
]


@dataclass(frozen=True)
class Joined:
    """The session that operations of the present context join."""

    session: ClientSession
    aliases: tuple[str, ...]
    """Whose operations belong into it."""


_MARK = "joined_by_datalayer"
joined: ContextVar[Joined | None] = ContextVar("datalayer_joined", default=None)


@contextmanager
def joining(session: ClientSession, aliases: tuple[str, ...]) -> Iterator[None]:
    """Have the operations of the present context join ``session``, those over its client."""
    vars(session)[_MARK] = True
    with session.bind(end_session=False):
        token = joined.set(Joined(session, aliases))
        try:
            yield
        finally:
            joined.reset(token)


def was_joined(session: ClientSession | None) -> bool:
    """Whether operations joined ``session``, rather than being given it by the application."""
    return session is not None and _MARK in vars(session)


class JoiningClient(MongoClient[Any]):
    """The driver's client. Its operations run by themselves where another client's session is
    joined, or one that has ended, as in a copy of the context of its block."""

    _alias = ""

    def _get_bound_session(self) -> ClientSession | None:
        mine = joined.get()
        if mine is None:
            return super()._get_bound_session()
        try:
            bound = super()._get_bound_session()
        except InvalidOperation:
            if mine.session.client is self:  # the application has bound another one inside
                raise
            if self._alias in mine.aliases and not mine.session.has_ended:
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
        if session is None and joined.get() is not None:
            session = _client_of(self)._get_bound_session()
        return chooses(self, session)

    return choose


def _client_of(target: Any) -> Any:
    if isinstance(target, Collection):
        return target.database.client
    return target.client if isinstance(target, Database) else target
