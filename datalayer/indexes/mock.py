"""What mongomock can do of the indexes: plain, unique, sparse and TTL ones."""

from __future__ import annotations

import logging
from typing import Any

from datalayer.connections.connection import Connection
from datalayer.indexes.declared import CollectionPlan

logger = logging.getLogger("datalayer.indexes")

_KNOWN = ("name", "unique", "sparse", "expireAfterSeconds", "partialFilterExpression")


def build_mock(connection: Connection, plan: CollectionPlan) -> None:
    """Create what mongomock knows of ``plan``; the rest is logged and left out."""
    database = connection.database
    _hear_of_drops(connection, plan.name)
    for index in plan.indexes:
        document = index.document
        keys = list(document["key"].items())
        if any(isinstance(kind, str) for _, kind in keys):
            logger.debug("mongomock has no index like %s", document["name"])
            continue
        options = {name: document[name] for name in _KNOWN if name in document}
        database[plan.name].create_index(keys, **options)


def _hear_of_drops(connection: Connection, name: str) -> None:
    """Forget what was built when the collection is dropped, with its database too: mongomock,
    which has no events, comes by here in each case."""
    store: Any = connection.database[name]._store
    if "drop" in vars(store):
        return
    drop = store.drop

    def drop_and_tell() -> None:
        drop()
        for model, _ in connection.built_indexes.forget(name):
            model._disconnect()  # its collection is mongomock's own, which looks at nothing

    store.drop = drop_and_tell
