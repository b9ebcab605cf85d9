"""Which connection can carry a transaction over several databases."""

from __future__ import annotations

from collections.abc import Callable

import mongoengine

from datalayer import indexes
from datalayer.core import Connection, registry
from datalayer.errors import TransactionError

__all__ = ["before", "leader"]

before: list[Callable[[Connection, list[type[mongoengine.Document]]], None]] = []
"""What else has to be built before a transaction: called with a connection and its models."""


def leader(aliases: tuple[str, ...]) -> Connection:
    """The connection that carries the transaction, checked to be able to."""
    connections = [registry.connection(alias) for alias in aliases]
    first = connections[0]
    if first.settings.kind == "mongomock":
        raise TransactionError("mongomock has no transactions; use embedded:// for tests of them")
    for other in connections[1:]:
        if not _share_a_cluster(first, other):
            raise TransactionError(
                f"{first.alias!r} and {other.alias!r} are not on one cluster, so one transaction "
                "cannot cover both; use a transaction on one of them and db.on_commit for the "
                "other",
                alias=other.alias,
            )
    for connection in connections:
        # Not inside, where it would wait for the transaction's own locks.
        indexes.ensure_all(connection)
        for prepare in before:
            prepare(connection, indexes.models_on(connection.alias))
    return first


def _share_a_cluster(one: Connection, other: Connection) -> bool:
    return one.client is other.client or bool(_members(one) & _members(other))


def _members(connection: Connection) -> set[tuple[str | None, tuple[str, int | None]]]:
    """The addresses that the servers themselves give, with the name of their set."""
    if connection.settings.kind == "mongomock":
        return set()
    servers = connection.client.topology_description.server_descriptions().values()
    return {(server.replica_set_name, host) for server in servers for host in server.all_hosts}
