"""How far delivery lags behind: how much waits in the outbox, since when, how much of it fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.outbox.entries import ASIDE, OUTBOX, collection


@dataclass(frozen=True)
class Waiting:
    """What waits for delivery."""

    entries: int
    oldest_seconds: float | None
    """The age of the oldest entry, as far as it is known; else ``None``."""
    failing: int = 0
    """Of the entries, those whose delivery was tried in vain; others may wait behind them."""
    set_aside: int = 0
    """Beside the entries, those that somebody took out with ``datalayer outbox set-aside``."""


def waiting(source: str = DEFAULT_ALIAS) -> Waiting:
    """What waits in the outbox of ``source`` now."""
    connection = registry.connection(source)
    outbox = collection(connection, OUTBOX)
    # Counted, rather than asked for the server's own figure: that may stay off after a server was
    # killed, and would tell of entries that are not there.
    figures = {"entries": {"$sum": 1}, "oldest": {"$min": _ADDED_AT}, "failing": {"$sum": _FAILS}}
    found = next(iter(outbox.aggregate([{"$group": {"_id": None, **figures}}])), None)
    oldest: datetime | None = found["oldest"] if found else None
    return Waiting(
        entries=found["entries"] if found else 0,
        oldest_seconds=max((datetime.now(UTC) - oldest).total_seconds(), 0.0)
        if isinstance(oldest, datetime)
        else None,
        failing=found["failing"] if found else 0,
        set_aside=collection(connection, ASIDE).count_documents({}),
    )


def _of_type(name: str, path: str) -> dict[str, Any]:
    return {"$eq": [{"$type": path}, name]}


# Entries of the first version tell no time but that of their document's id.
_ADDED_AT = {
    "$switch": {
        "branches": [
            {"case": _of_type("date", "$added_at"), "then": "$added_at"},
            {
                "case": _of_type("objectId", "$document._id"),
                "then": {"$toDate": "$document._id"},
            },
        ],
        "default": None,
    }
}
_FAILS = {"$cond": [_of_type("object", "$failure"), 1, 0]}
