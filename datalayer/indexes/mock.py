"""What mongomock can do of the indexes: plain, unique, sparse and TTL ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from datalayer.indexes.declared import CollectionPlan

if TYPE_CHECKING:
    from pymongo.database import Database

__all__ = ["build_mock"]

logger = logging.getLogger("datalayer.indexes")

_KNOWN = ("name", "unique", "sparse", "expireAfterSeconds", "partialFilterExpression")


def build_mock(database: Database[Any], plan: CollectionPlan) -> None:
    """Create what mongomock knows of ``plan``; the rest is logged and left out."""
    for index in plan.indexes:
        document = index.document
        keys = list(document["key"].items())
        if any(isinstance(kind, str) for _, kind in keys):
            logger.debug("mongomock has no index like %s", document["name"])
            continue
        options = {name: document[name] for name in _KNOWN if name in document}
        database[plan.name].create_index(keys, **options)
