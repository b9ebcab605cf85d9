"""What comes before an entry in its stream, whose documents arrive in order and pass none of the
others: as the outbox knows, and what was set aside from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import MinKey
from pymongo.collection import Collection

from datalayer.outbox.entries import Entry


def are_first_in_stream(outbox: Collection[Any], entries: Sequence[Entry]) -> bool:
    """Whether the outbox holds all of ``entries``, of one stream, and no other before them."""
    last = entries[-1]
    # Backwards: whoever is seen to be there was there after all those before it came.
    query = _up_to(last, last.number)
    found = outbox.find(query, {"_id": 1}).sort("_id", -1).limit(len(entries) + 1)
    numbers = [each["_id"]["number"] for each in found]
    return numbers == [entry.number for entry in reversed(entries)]


def old_ones_come_before(outbox: Collection[Any], entry: Entry) -> bool:
    """Whether entries of the first version, which come before this one, still wait."""
    query = _up_to(entry, entry.behind or 0, old=True)
    return outbox.find_one(query, {"_id": 1}) is not None


def was_set_aside_before(aside: Collection[Any], entry: Entry) -> bool:
    """Whether an entry that comes before this one in its stream was set aside."""
    before = {
        "$gte": {"stream": entry.stream_id, "number": MinKey()},
        "$lt": {"stream": entry.stream_id, "number": entry.number},
    }
    return aside.find_one({"_id": before}, {"_id": 1}) is not None


def _up_to(entry: Entry, number: int, *, old: bool = False) -> dict[str, Any]:
    """What selects the entries of its stream, or of the first version for its key."""
    own = {"key": entry.key} if entry.is_old or old else {"stream": entry.stream_id}
    numbers = {"$gte": {**own, "number": MinKey()}, "$lte": {**own, "number": number}}
    return {"_id": numbers, "alias": entry.alias}
