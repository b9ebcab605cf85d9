"""The two databases of a transfer, read and written in a way that is fixed here and not left to
the options of their URIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bson import CodecOptions, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConnectionFailure
from pymongo.read_concern import ReadConcern

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.retry import retrying
from datalayer.transfer.codecs import DECODED, RAW

MAJORITY = WriteConcern("majority")
"""Journal and documents outlive a fail-over: what was noted as done was done."""
_COMMITTED = ReadConcern("majority")
_ASKED_AGAIN = retrying(
    attempts=3, retryable=lambda exc: isinstance(exc, ConnectionFailure), pauses=False
)
"""At once: the driver waits for a primary by itself."""


class _At(ReadConcern):
    """Committed data with reference to a time of the cluster, which the driver lets nobody choose.

    https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/: the server keeps the
    past for ``minSnapshotHistoryWindowInSeconds``, 300 by default.
    """

    def __init__(self, level: str, **times: Timestamp) -> None:
        super().__init__(level)
        self._times = times

    @property
    def document(self) -> dict[str, Any]:
        """As it is sent."""
        return {**super().document, **self._times}


@dataclass(frozen=True)
class Endpoint:
    """One side of a transfer."""

    connection: Connection
    read_concern: ReadConcern | None = None

    @classmethod
    def of(cls, alias: str) -> Endpoint:
        """The database of ``alias``; raises ``NotConnectedError`` where it isn't connected."""
        return cls(registry.connection(alias))

    @property
    def alias(self) -> str:
        """What the application calls it."""
        return self.connection.alias

    @property
    def client(self) -> MongoClient[Any]:
        """The driver's client."""
        return self.connection.client

    def time(self) -> Timestamp:
        """The cluster's time: every write that has been answered is before it."""
        time: Timestamp = self.command({"ping": 1})["operationTime"]
        return time

    def command(
        self, command: Mapping[str, Any], codec_options: CodecOptions[Any] = DECODED
    ) -> Any:
        """The primary's answer to a ``command`` that only reads: asked again while another
        member becomes the primary, as the driver does it for queries, but not for commands."""
        return _ASKED_AGAIN(self.database.command, dict(command), codec_options=codec_options)

    def as_of(self, time: Timestamp) -> Endpoint:
        """This endpoint as it was at ``time``."""
        return replace(self, read_concern=_At("snapshot", atClusterTime=time))

    def since(self, time: Timestamp) -> Endpoint:
        """This endpoint, whose reads see everything that happened until ``time``, or later,
        whichever member is the primary now."""
        return replace(self, read_concern=_At("majority", afterClusterTime=time))

    @property
    def concern(self) -> ReadConcern:
        """What reads ask for: committed data, unless the endpoint is to be read at some time."""
        return self.read_concern or _COMMITTED

    @property
    def database(self) -> Database[dict[str, Any]]:
        """The database: the primary's committed data, and writes confirmed by a majority."""
        return self.client.get_database(
            self.connection.settings.database,
            codec_options=DECODED,
            read_preference=ReadPreference.PRIMARY,
            read_concern=self.concern,
            write_concern=MAJORITY,
        )

    def collection(self, name: str) -> Collection[dict[str, Any]]:
        """A collection whose documents are decoded."""
        return self.database[name]

    def raw(self, name: str) -> Collection[RawBSONDocument]:
        """A collection whose documents are bytes."""
        return self.database[name].with_options(codec_options=RAW)


def share_a_cluster(one: Endpoint, other: Endpoint) -> bool:
    """Whether both are on the same servers, by the addresses that the servers give themselves."""
    return one.client is other.client or bool(_members(one) & _members(other))


def same_database(one: Endpoint, other: Endpoint) -> bool:
    """Whether both are one database under two aliases."""
    names = [endpoint.connection.settings.database for endpoint in (one, other)]
    return names[0] == names[1] and share_a_cluster(one, other)


def _members(endpoint: Endpoint) -> set[tuple[str | None, tuple[str, int | None]]]:
    servers = endpoint.client.topology_description.server_descriptions().values()
    return {(server.replica_set_name, host) for server in servers for host in server.all_hosts}
