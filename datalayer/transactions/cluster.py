"""Which connection can carry a transaction over several databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pymongo.client_session import ClientSession

from datalayer import indexes
from datalayer.connections import operation
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.errors import TransactionError

_BEGINNING = "beginning a transaction"
before: list[Callable[[Connection, list[type[Any]]], None]] = []
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
        with operation.asking(connection, _BEGINNING):
            indexes.ensure_all(connection)
            for prepare in before:
                prepare(connection, indexes.models_on(connection.alias))
    return first


def begin_after_builds(session: ClientSession, connections: Iterable[Connection]) -> None:
    """Let a transaction of ``session`` read a time at which all that was built stands already.

    The server reads a little behind, and refuses what was built since. What is known holds for
    all that begin later, so that one command after a build is enough.
    """
    for connection in connections:
        built = connection.built_indexes
        since = built.stands_since
        if since is None:
            with operation.asking(connection, _BEGINNING):
                session.client.admin.command("ping", session=session)
            since = built.stands_since = session.operation_time
        if since is not None:
            session.advance_operation_time(since)


def _share_a_cluster(one: Connection, other: Connection) -> bool:
    return one.client is other.client or bool(_members(one) & _members(other))


def _members(connection: Connection) -> set[tuple[str | None, tuple[str, int | None]]]:
    """The addresses that the servers themselves give, with the name of their set."""
    if connection.settings.kind == "mongomock":
        return set()
    servers = connection.client.topology_description.server_descriptions().values()
    return {(server.replica_set_name, host) for server in servers for host in server.all_hosts}
