"""Where does one batch of documents end and the next begin? By ``_id``, from its index alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import MaxKey, MinKey
from pymongo.collection import Collection

BY_ID = {"_id": 1}
"""The index that ranges are of."""
BEGINNING = object()
"""Before all ids."""
_ALONE = (MinKey, MaxKey, type(None))
"""Types of a single value. A condition on one means something else, or other types too."""


@dataclass(frozen=True)
class Range:
    """Documents next to each other in the order of ``_id``, whose ids are of one type: only these
    are compared by a condition."""

    condition: Mapping[str, Any]
    until: Any
    """The last id, to go on behind it."""


def next_range(collection: Collection[Any], after: Any, size: int) -> Range | None:
    """The next ``size`` documents behind the id ``after``, or fewer; ``None`` behind the last."""
    if after is not BEGINNING and not isinstance(after, _ALONE):
        found = _up_to(collection, {"$gt": after}, size)
        if found is not None:
            return found
    first = _first_behind(collection, after)
    if first is None:
        return None
    if isinstance(first["_id"], _ALONE):
        return Range({"_id": {"$eq": first["_id"]}}, first["_id"])
    return _up_to(collection, {"$gte": first["_id"]}, size)


def _up_to(collection: Collection[Any], begin: dict[str, Any], size: int) -> Range | None:
    """From ``begin`` on, at most ``size`` documents; ``None`` where none has such an id."""
    wanted = collection.find({"_id": begin}, {"_id": True})
    last = next(wanted.sort("_id", 1).skip(size - 1).limit(1), None)
    if last is None:
        wanted = collection.find({"_id": begin}, {"_id": True})
        last = next(wanted.sort("_id", -1).limit(1), None)
    if last is None:
        return None
    return Range({"_id": {**begin, "$lte": last["_id"]}}, last["_id"])


def _first_behind(collection: Collection[Any], after: Any) -> dict[str, Any] | None:
    # An expression, unlike a condition, compares ids of all types.
    behind = {"$expr": {"$gt": ["$_id", {"$literal": after}]}}
    query = {} if after is BEGINNING else behind
    found = collection.find(query, {"_id": True}).sort("_id", 1).limit(1)
    first: dict[str, Any] | None = next(found, None)
    return first
