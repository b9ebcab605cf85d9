"""Which hidden indexes can go? Those that no model declares, that have been hidden for long, and
that no member has used since, by the servers' own counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import Nearest, Primary, _ServerMode
from pymongo.server_selectors import Selection
from pymongo.server_type import SERVER_TYPE

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import IndexBuildError
from datalayer.failures.server_codes import AUTHORISATION
from datalayer.indexes.comparing import Index
from datalayer.indexes.existing import own_session
from datalayer.indexes.failures import explained
from datalayer.indexes.hiding import CHANGE_SECONDS, told
from datalayer.indexes.syncing import Action, diff

_DAY_SECONDS = 86_400.0
_MEMBER_SECONDS = 5.0
_HOLDS_DATA = (SERVER_TYPE.RSPrimary, SERVER_TYPE.RSSecondary)


@dataclass(frozen=True)
class HiddenIndex:
    """An index that is hidden and that no model declares."""

    alias: str
    collection: str
    index: Index
    hidden_seconds: float | None
    """How long it has been hidden at least: the time that the member counts for which has counted
    longest. Hiding starts a member's count anew, and so does its restart. ``None`` where no member
    could be asked."""
    uses: int
    """How often queries have used it meanwhile, over all members that were asked."""
    members: tuple[str, ...]
    """Those that were asked."""
    not_asked: tuple[str, ...] = ()
    """Those that did not answer."""

    def reason_to_keep(self, seconds: float) -> str | None:
        """Why it can't be dropped once it has been hidden for ``seconds``; ``None`` if it can."""
        if self.hidden_seconds is None:
            return "no member could be asked how often it is used"
        if self.uses:
            return f"it was used {self.uses:,} times while hidden"
        if self.hidden_seconds < seconds:
            return (
                f"known to be hidden for {_days(self.hidden_seconds)} days, not "
                f"{_days(seconds)}: all members began to count then"
            )
        return None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "alias": self.alias,
            "collection": self.collection,
            **self.index.as_dict(),
            "hidden_seconds": self.hidden_seconds,
            "uses": self.uses,
            "members": list(self.members),
            "not_asked": list(self.not_asked),
        }


def hidden(alias: str) -> list[HiddenIndex]:
    """The hidden indexes on ``alias`` that no model declares, with their use. Writes nothing.

    Each member of a replica set that the driver sees is asked, within five seconds each: not the
    hidden and delayed ones, and of a sharded cluster one member of each shard.

    Raises:
        IndexBuildError: when the server can't be asked which indexes there are, or when the user
            may not see their use: it takes the privilege ``indexStats`` (role ``clusterMonitor``).
    """
    connection = registry.connection(alias)
    return [
        each
        for difference in diff(alias)
        if (unknown := [index for index in difference.unknown if index.options.get("hidden")])
        for each in _with_use(connection, difference.collection, unknown)
    ]


def drop(index: HiddenIndex) -> Action:
    """Drop an index that ``hidden`` told of, if it is hidden still.

    Raises:
        IndexBuildError: where it is not hidden any more, or can't be dropped.
    """
    connection, name = registry.connection(index.alias), index.index.name
    collection = connection.database[index.collection]
    with (
        explained(connection, None),
        pymongo.timeout(CHANGE_SECONDS),
        own_session(connection) as session,
        told(connection, index.collection, name, "be dropped"),
    ):
        present = [Index.of(each) for each in collection.list_indexes(session=session)]
        if index.index not in present:
            raise IndexBuildError(
                f"the index {name!r} of {index.collection!r} on {index.alias!r} was changed "
                "meanwhile and is left alone; look at `datalayer indexes diff`",
                alias=index.alias,
                collection=index.collection,
                index=name,
            )
        collection.drop_index(name, session=session)
    return Action("drop_index", index.alias, index.collection, name)


@dataclass(frozen=True)
class Count:
    """What one member counts of one index."""

    name: str
    host: str
    uses: int
    seconds: float
    """For how long it has been counting."""
    hidden: bool


class _Member(Nearest):
    """Reads from one member of a replica set."""

    def __init__(self, address: Any) -> None:
        super().__init__()
        self._address = address

    def __call__(self, selection: Selection) -> Selection:
        servers = selection.server_descriptions
        return selection.with_server_descriptions(
            [each for each in servers if each.address == self._address]
        )


def _with_use(
    connection: Connection, collection: str, indexes: Sequence[Index]
) -> Iterator[HiddenIndex]:
    counts: list[Count] = []
    asked: set[str] = set()
    not_asked: list[str] = []
    for host, preference in _members(connection):
        try:
            # A session for each: a member need not catch up with what another one has told.
            with pymongo.timeout(_MEMBER_SECONDS), own_session(connection) as session:
                found = _counts(connection, collection, preference, session)
        except OperationFailure as exc:
            if exc.code not in AUTHORISATION:
                raise
            raise IndexBuildError(
                f"the use of the indexes of {collection!r} on {connection.alias!r} can't be seen: "
                "grant the user the privilege indexStats, as in the role clusterMonitor",
                alias=connection.alias,
                collection=collection,
            ) from None
        except PyMongoError:
            not_asked.append(host)
        else:
            counts += found
            asked |= {host} if host else {each.host for each in found}
    for index in indexes:
        seconds, uses = hidden_since([each for each in counts if each.name == index.name])
        yield HiddenIndex(
            connection.alias,
            collection,
            index,
            hidden_seconds=seconds,
            uses=uses,
            members=tuple(sorted(asked)),
            not_asked=tuple(not_asked),
        )


def hidden_since(counts: Iterable[Count]) -> tuple[float | None, int]:
    """For how many seconds at least an index has been hidden, and how often it was used.

    A secondary that lags may not have hidden it yet, and counts from an earlier time.
    """
    own = list(counts)
    seconds = max((each.seconds for each in own if each.hidden), default=None)
    return seconds, sum(each.uses for each in own)


def _members(connection: Connection) -> list[tuple[str, _ServerMode]]:
    """Each member that may hold data, with how to read from it; the server or router alone where
    there is no replica set."""
    found = connection.client.topology_description.server_descriptions().values()
    if not any(server.server_type in _HOLDS_DATA for server in found):
        return [("", Primary())]
    return [
        (f"{server.address[0]}:{server.address[1]}", _Member(server.address))
        for server in found
        if server.server_type in (*_HOLDS_DATA, SERVER_TYPE.Unknown)
    ]


def _counts(
    connection: Connection, collection: str, preference: _ServerMode, session: Any
) -> list[Count]:
    source = connection.database.get_collection(
        collection, read_preference=preference, read_concern=ReadConcern("local")
    )
    pipeline: list[dict[str, Any]] = [
        {"$indexStats": {}},
        {
            "$project": {
                "_id": 0,
                "name": 1,
                "host": 1,
                "uses": "$accesses.ops",
                "hidden": {"$ifNull": ["$spec.hidden", False]},
                # By the member's own clock.
                "seconds": {"$divide": [{"$subtract": ["$$NOW", "$accesses.since"]}, 1000]},
            }
        },
    ]
    return [Count(**each) for each in source.aggregate(pipeline, session=session)]


def _days(seconds: float) -> str:
    return f"{seconds / _DAY_SECONDS:.1f}".removesuffix(".0")
