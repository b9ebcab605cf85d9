"""Sessions: an application's own, for reads that follow its writes, and a transaction's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.client_session import ClientSession

from datalayer.concurrency.flow import Flow
from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.context.decorators import with_block
from datalayer.context.session import Joined, joined, joining
from datalayer.errors import TransactionError
from datalayer.transactions.state import current


@with_block
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
    # Linearizable reads see what happened before, by themselves; the server takes no time there.
    follows = connection.client.read_concern.level != "linearizable"
    with own_session(connection, causal_consistency=follows) as opened:
        block = joining(Joined(opened, (alias,), connection))
        try:
            yield opened
        finally:
            joined.leave(block)


@contextmanager
def own_session(connection: Connection, **options: Any) -> Iterator[ClientSession]:
    """A session that is ended in the process that opened it: a child's end would abort its
    parent's transaction."""
    flow = Flow()
    opened = connection.client.start_session(**options)
    try:
        yield opened
    finally:
        if flow.is_of_this_process:
            opened.end_session()
