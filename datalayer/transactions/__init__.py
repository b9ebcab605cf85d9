"""Transactions over the documents of one database, or of several on one cluster.

A transaction belongs to the context (a thread, mostly) that began it; documents and querysets
used there take part by themselves.

``running`` begins them and runs functions in them; ``state`` is the one under way, ``commit`` its
end; ``failures`` says what an error inside means; ``cluster`` finds the connection that carries
it, ``sessions`` opens sessions, and ``threads`` notices what is started inside.
"""

from __future__ import annotations

from datalayer.transactions.cluster import before
from datalayer.transactions.running import transaction, transactional
from datalayer.transactions.sessions import session
from datalayer.transactions.state import (
    Note,
    Transaction,
    bound,
    current,
    ended_by_server,
    on_commit,
)

__all__ = [
    "Note",
    "Transaction",
    "before",
    "bound",
    "current",
    "ended_by_server",
    "on_commit",
    "session",
    "transaction",
    "transactional",
]
