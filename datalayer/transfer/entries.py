"""What the journal says of transfers, for everybody to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datalayer.errors import ConfigurationError
from datalayer.transfer.places import Place
from datalayer.transfer.plan import Plan

__all__ = ["RANGES", "TRANSFERS", "Entry", "entries", "entry", "unfinished"]

TRANSFERS = "datalayer_transfers"
RANGES = "datalayer_transfer_ranges"


@dataclass(frozen=True)
class Entry:
    """What the journal says of one transfer."""

    plan: Plan
    state: str
    """``new``, ``running``, ``following``, ``drifted``, ``done``, ``rolling_back`` or
    ``rolled_back``."""
    progress: Mapping[str, Any]
    """What runners have noted."""
    holder: str | None
    seconds_left: float
    """How long the holder may go on without renewing its lease; 0 where nobody is at work."""
    created_at: datetime
    updated_at: datetime

    def of_part(self, number: int) -> Mapping[str, Any]:
        """What runners have noted about one part."""
        found: Mapping[str, Any] = self.progress.get(str(number), {})
        return found


def entries(place: Place) -> list[Entry]:
    """All transfers into ``place``, the latest first."""
    return list(_found(place, {}))


def unfinished(place: Place) -> list[Entry]:
    """The transfers into ``place`` that are neither done nor taken back, the latest first."""
    return list(_found(place, {"state": {"$nin": ["done", "rolled_back"]}}))


def entry(place: Place, name: str) -> Entry:
    """What the journal says of the transfer ``name``.

    Raises:
        ConfigurationError: where there is none of that name.
    """
    found = next(_found(place, {"_id": name}), None)
    if found is None:
        raise ConfigurationError(
            f"{place.alias!r} knows no transfer {name!r}; `datalayer transfer list` shows all",
            alias=place.alias,
        )
    return found


def _found(place: Place, query: Mapping[str, Any]) -> Iterator[Entry]:
    # The server's clock tells how long a lease has left: that of this machine may be off.
    pipeline: list[dict[str, Any]] = [
        {"$match": dict(query)},
        {"$sort": {"created_at": -1, "_id": -1}},
        {"$set": {"left": {"$max": [0, {"$subtract": ["$until", "$$NOW"]}]}}},
    ]
    for stored in place.collection(TRANSFERS).aggregate(pipeline):
        plan = Plan.from_json(stored["plan"])
        yield Entry(
            plan=plan,
            state=stored["state"],
            progress=stored["progress"],
            holder=stored["holder"],
            seconds_left=(stored["left"] or 0) / 1000,
            created_at=stored["created_at"],
            updated_at=stored["updated_at"],
        )
