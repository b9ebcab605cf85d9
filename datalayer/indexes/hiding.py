"""Takes an index out of the planner's sight, and brings it back: the server keeps a hidden index
up to date, so it serves again at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pymongo
from pymongo.errors import OperationFailure

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import IndexBuildError
from datalayer.failures.server_codes import AUTHORISATION, ServerCode
from datalayer.indexes.existing import own_session
from datalayer.indexes.failures import explained

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession

CHANGE_SECONDS = 60.0
"""The deadline of hiding or dropping one index. A shorter ``db.deadline`` still holds."""

_ABSENT = frozenset({ServerCode.NamespaceNotFound, ServerCode.IndexNotFound})
_CAN_NOT_HIDE = frozenset(
    {
        ServerCode.BadValue,
        ServerCode.FailedToParse,
        ServerCode.CommandNotFound,
        ServerCode.CommandNotSupported,
        ServerCode.InvalidOptions,
    }
)


def hide(alias: str, collection: str, name: str) -> bool:
    """Have queries do without the index ``name``; returns whether they used to see it.

    A hidden index is kept up to date and takes its room; a unique one still refuses duplicates,
    and a TTL one still deletes. Its uses (``$indexStats``) are counted anew from now on.

    Raises:
        IndexBuildError: where the server has no such index or can't hide it: the one on ``_id``,
            the last that serves the shard key, or any before MongoDB 4.4.
        NotConnectedError: before ``connect``.
    """
    return _changed(registry.connection(alias), collection, name, hidden=True)


def unhide(alias: str, collection: str, name: str) -> bool:
    """Let queries use the index ``name`` again; returns whether it was hidden.

    Raises:
        IndexBuildError: where the server has no such index.
        NotConnectedError: before ``connect``.
    """
    return _changed(registry.connection(alias), collection, name, hidden=False)


def hidden_names(alias: str) -> list[tuple[str, str]]:
    """Collection and name of each hidden index on ``alias``, whether a model declares it or not.

    Raises:
        IndexBuildError: when the server can't be asked.
    """
    connection = registry.connection(alias)
    if connection.settings.kind == "mongomock":
        return []
    with explained(connection, None), own_session(connection) as session:
        database = connection.database
        return [
            (name, index["name"])
            for each in database.list_collections(session, {"type": {"$ne": "view"}})
            if not (name := each["name"]).startswith("system.")
            for index in database[name].list_indexes(session=session)
            if index.get("hidden")
        ]


def set_hidden(
    connection: Connection,
    collection: str,
    name: str,
    session: ClientSession | None,
    *,
    hidden: bool,
) -> bool:
    """Whether that was a change. Raises the driver's errors, which ``told`` puts into words."""
    if connection.settings.kind == "mongomock":
        raise _error(connection, collection, name, "can't be hidden: mongomock has no such thing")
    if name == "_id_":
        reason = "can't be hidden: every collection needs the index on _id"
        raise _error(connection, collection, name, reason)
    change = {"index": {"name": name, "hidden": hidden}}
    answer = connection.database.command({"collMod": collection, **change}, session=session)
    return "hidden_new" in answer


def serves_shard_key(exc: OperationFailure) -> bool:
    """Whether an index has to stay as it is because the shard key needs it."""
    return (exc.details or {}).get("codeName") == "CannotDropShardKeyIndex"


@contextmanager
def told(connection: Connection, collection: str, name: str, what: str) -> Iterator[None]:
    """Turn a server's refusal inside the block into an ``IndexBuildError`` that says why one index
    can't ``what``."""
    try:
        yield
    except OperationFailure as exc:
        reason = _reason(exc)
        if reason is None:
            raise
        raise _error(connection, collection, name, f"can't {what}: {reason}") from None


def _changed(connection: Connection, collection: str, name: str, *, hidden: bool) -> bool:
    with (
        explained(connection, None),
        pymongo.timeout(CHANGE_SECONDS),
        own_session(connection) as session,
        told(connection, collection, name, f"be {'hidden' if hidden else 'unhidden'}"),
    ):
        return set_hidden(connection, collection, name, session, hidden=hidden)


def _reason(exc: OperationFailure) -> str | None:
    if serves_shard_key(exc):
        return "no other index serves the collection's shard key; build another one first"
    if exc.code in _ABSENT:
        return "it isn't there; `datalayer indexes diff` names those that are unknown"
    if exc.code in AUTHORISATION:
        return "the user may not; grant it collMod and dropIndex, as in the role dbAdmin"
    if exc.code in _CAN_NOT_HIDE:
        return (
            "this server has no hidden indexes; they come with MongoDB 4.4 and its "
            "featureCompatibilityVersion"
        )
    return None


def _error(connection: Connection, collection: str, name: str, reason: str) -> IndexBuildError:
    return IndexBuildError(
        f"the index {name!r} of {collection!r} on {connection.alias!r} {reason}",
        alias=connection.alias,
        collection=collection,
        index=name,
    )
