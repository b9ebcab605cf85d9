"""How much waits in the outbox, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from datalayer.core import DEFAULT_ALIAS, registry
from datalayer.outbox.entries import OUTBOX, collection

__all__ = ["Waiting", "waiting"]


@dataclass(frozen=True)
class Waiting:
    """What waits for delivery."""

    entries: int
    oldest_seconds: float | None
    """The age of the oldest document by its id, if that is an ``ObjectId``; else ``None``."""


def waiting(source: str = DEFAULT_ALIAS) -> Waiting:
    """What waits in the outbox of ``source`` now."""
    outbox = collection(registry.connection(source), OUTBOX)
    found = list(
        outbox.aggregate(
            [
                {"$match": {"document._id": {"$type": "objectId"}}},
                {"$group": {"_id": None, "oldest": {"$min": {"$toDate": "$document._id"}}}},
            ]
        )
    )
    oldest: datetime | None = found[0]["oldest"] if found else None
    age = None if oldest is None else max((datetime.now(UTC) - oldest).total_seconds(), 0.0)
    return Waiting(outbox.estimated_document_count(), age)
