"""Whether the collections that were built still stand: which collection each was, and a look now
and then for those that somebody else dropped, whom no event of our own clients tells of."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import PyMongoError

from datalayer.connections.connection import Connection

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

logger = logging.getLogger("datalayer.indexes")

_BUCKETS = "system.buckets."  # what holds a time series, whose name is that of a view
_LOOK_SECONDS = 2.0
"""The look comes before a write that has a deadline of its own, and must not take it up."""

Collections = Mapping[str, Mapping[str, Any]]


def notice_drops(connection: Connection) -> None:
    """Forget what was built in collections that are not those any more; cheap until it is time.

    The next write builds them again. One command, at most every ten seconds for each connection;
    where it fails, the write tells of it better.
    """
    built = connection.built_indexes
    if not built.claim_look() or not _can_look(connection):
        return
    known = built.identities()
    if not known:
        return
    try:
        with pymongo.timeout(_LOOK_SECONDS), own_session(connection) as session:
            found = collections(connection, session, known)
    except PyMongoError as exc:
        logger.debug("no look at %s (%s)", connection.alias, type(exc).__name__)
        return
    for name, identity in known.items():
        present = _identity(found, name)
        if identity is not None and present == identity:
            continue  # of one that nobody has asked about, nothing is known
        built.forget(name)
        if identity is not None:
            logger.warning(
                "%s on %s was dropped or replaced by another client: what it lacks of its indexes "
                "is built again before the next write",
                name,
                " ".join(filter(None, connection.place)),
                extra={"alias": connection.alias, "collection": name, "event": "dropped"},
            )


def identify(
    connection: Connection, existing: Collections, names: Iterable[str] | None = None
) -> None:
    """Note which collections they are that were prepared, asking for those that were made.

    ``existing`` is what there was before; ``names`` are those to be noted, or all.
    """
    built = connection.built_indexes
    wanted = set(built.identities()).intersection(names or built.identities())
    made = [name for name in wanted if name not in existing]
    found = existing
    if made and connection.settings.kind != "mongomock":
        # Where nobody answers, the next look learns it.
        with suppress(PyMongoError), own_session(connection) as session:
            found = {**existing, **collections(connection, session, made)}
    for name in wanted:
        built.identify(name, _identity(found, name))


def collections(
    connection: Connection, session: ClientSession | None, names: Iterable[str] | None = None
) -> dict[str, Mapping[str, Any]]:
    """The collections of the database, or the named ones, as ``listCollections`` tells of them."""
    if connection.settings.kind == "mongomock":
        return {}
    chosen = None
    if names is not None:
        chosen = {"name": {"$in": [each for name in names for each in (name, _BUCKETS + name)]}}
    found = connection.database.list_collections(session=session, filter=chosen)
    return {each["name"]: each for each in found}


@contextmanager
def own_session(connection: Connection) -> Iterator[ClientSession | None]:
    """A session of our own, so that nothing here joins a transaction that is bound around it.

    An index that is created inside a transaction is gone again after a rollback.
    """
    if connection.settings.kind == "mongomock":
        yield None
        return
    with connection.client.start_session() as session:
        yield session


def _can_look(connection: Connection) -> bool:
    is_away = connection.breaker is not None and connection.breaker.state == "open"
    return connection.settings.kind != "mongomock" and not is_away


def _identity(found: Collections, name: str) -> Any:
    """What tells a collection from another of the same name; ``None`` where there is none."""
    entry = found.get(name)
    if entry is None:
        return None
    for each in (entry, found.get(_BUCKETS + name, {})):
        if identity := each.get("info", {}).get("uuid"):
            return identity
    return entry.get("type")
