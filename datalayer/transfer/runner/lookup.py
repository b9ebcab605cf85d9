"""Finds documents by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from bson import ObjectId

from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.plan import Part
from datalayer.transfer.planning.selection import both
from datalayer.transfer.raw.bson import id_of, key_in, key_of, keys_of, split
from datalayer.transfer.raw.find import first_batch_of
from datalayer.transfer.raw.object_ids import among

AT_ONCE = 1000
"""How many documents are looked at, deleted or put back by one command."""
_ORDERED = (ObjectId, int, datetime)


def by_id(
    endpoint: Endpoint, collection: str, ids: Sequence[Any], part: Part | None = None
) -> list[bytes]:
    """The documents of ``ids`` that are there, in the order of ``_id``; with ``part``, only
    those that its filter selects."""
    return list(split(raw_by_id(endpoint, collection, ids, part)))


def raw_by_id(
    endpoint: Endpoint, collection: str, ids: Sequence[Any], part: Part | None = None
) -> Iterator[bytes]:
    """The documents of ``ids`` that are there, one behind the other as the server packs them, in
    the order of ``_id``; with ``part``, only those that its filter selects."""
    cursor = endpoint.collection(collection).find_raw_batches(
        _selected(part, {"_id": among(ids)}), sort=[("_id", 1)], batch_size=len(ids) + 1
    )
    yield from cast(Iterable[bytes], cursor)


def by_key(
    endpoint: Endpoint, collection: str, ids: Sequence[Any], part: Part | None = None
) -> dict[bytes, bytes]:
    """The documents of ``ids`` that are there, each by the key of the id that was asked for."""
    found = {key_in(raw): raw for raw in split(raw_by_id(endpoint, collection, ids, part))}
    return _as_asked(endpoint, collection, ids, found)


def ids_present(
    endpoint: Endpoint, collection: str, ids: Sequence[Any], part: Part | None = None
) -> list[Any]:
    """Those of ``ids`` for which there is a document."""
    cursor = endpoint.collection(collection).find_raw_batches(
        _selected(part, {"_id": among(ids)}), {"_id": True}, batch_size=len(ids) + 1
    )
    found = {key_in(raw): raw for raw in split(cast(Iterable[bytes], cursor))}
    if not found:
        return []
    there = _as_asked(endpoint, collection, ids, found)
    return [one for one in ids if key_of(one) in there]


def _as_asked(
    endpoint: Endpoint, collection: str, ids: Sequence[Any], found: dict[bytes, bytes]
) -> dict[bytes, bytes]:
    """``found`` by the keys of ``ids``: a collection's collation may find a document whose id is
    spelt otherwise, and the server alone knows for which."""
    others = found.keys() - keys_of(ids) if found else set()
    if not others:
        return found
    wanted = [one for one in ids if key_of(one) not in found]
    pipeline: list[dict[str, Any]] = [
        {"$match": {"_id": {"$in": [id_of(found[key]) for key in others]}}},
        {"$project": {"at": {"$indexOfArray": [{"$literal": wanted}, "$_id"]}}},
    ]
    asked = {key: raw for key, raw in found.items() if key not in others}
    for each in endpoint.raw(collection).aggregate(pipeline):
        if (raw := found.get(key_in(bytes(each.raw)))) is not None and each["at"] >= 0:
            asked[key_of(wanted[each["at"]])] = raw
    return asked


def raw_between(
    endpoint: Endpoint, collection: str, ids: Sequence[Any], part: Part | None = None
) -> bytes | None:
    """The documents from the first of ``ids`` to the last, as a BSON array, with at most one more
    than those are.

    ``None`` where the server would not find them all that way (ids of several types, or in the
    order of a collation).
    """
    if type(ids[0]) is not type(ids[-1]) or not isinstance(ids[0], _ORDERED):
        return None
    query = _selected(part, {"_id": {"$gte": ids[0], "$lte": ids[-1]}})
    return first_batch_of(endpoint, collection, query, len(ids) + 1)


def _selected(part: Part | None, query: dict[str, Any]) -> dict[str, Any]:
    """``query``, within the filter of ``part`` where that has one."""
    return query if part is None else both(query, dict(part.filter))
