"""Finds documents and gives them as the bytes that the server sent. The driver's own raw cursors
make an object of each document first, which takes longer than receiving it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson import MaxKey, MinKey, ObjectId

from datalayer.transfer.codecs import RAW
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.raw.arrays import documents_in
from datalayer.transfer.raw.bson import id_of
from datalayer.transfer.raw.comparison_keys import LENGTH
from datalayer.transfer.raw.object_ids import ids_in

BEGINNING = MinKey()
"""Behind which all ids are."""
_ARRAY = 0x04
_LONGEST_NAME = 64
"""More than any field of a cursor has."""
# https://bsonspec.org/spec.html: the bytes of the values that stand beside the documents.
_SIZES = {0x08: 1, 0x11: 8, 0x12: 8}


def first_batch_of(
    endpoint: Endpoint, collection: str, query: Mapping[str, Any], most: int
) -> bytes:
    """At most ``most`` documents in the order of ``_id``, as the BSON array that came; fewer
    where one message holds no more."""
    return _found(endpoint, _one_batch({"find": collection, "filter": dict(query), "limit": most}))


def pages_of(endpoint: Endpoint, collection: str, after: Any, size: int) -> Iterator[list[bytes]]:
    """All documents behind the id ``after``, in the order of ``_id``.

    Each page is found by itself, through the index: there is no cursor that could get lost.
    """
    if isinstance(after, MaxKey):
        return  # nothing is behind it, and the server takes no such bound
    command = {"find": collection, "limit": size}
    while page := documents_in(_found(endpoint, _behind(command, after))):
        yield page
        after = id_of(page[-1])
    if last := _the_last(endpoint, command, after):
        yield last


def ids_behind(
    endpoint: Endpoint, collection: str, after: Any, size: int
) -> Iterator[Sequence[Any]]:
    """The ids of all documents behind the id ``after``, in their order."""
    if isinstance(after, MaxKey):
        return
    command = {"find": collection, "projection": {"_id": 1}}
    while page := documents_in(_found(endpoint, _behind(command | {"limit": 1}, after))):
        first = id_of(page[0])
        if isinstance(first, ObjectId):
            for ids in _object_ids_from(endpoint, command | {"limit": size}, first):
                yield ids
                after = ids[-1]
        else:
            ids = ids_in(_found(endpoint, _behind(command | {"limit": size}, after)))
            yield ids
            after = ids[-1]
    if last := _the_last(endpoint, command | {"limit": 1}, after):
        yield [id_of(each) for each in last]


def _object_ids_from(
    endpoint: Endpoint, command: dict[str, Any], first: ObjectId
) -> Iterator[Sequence[Any]]:
    """The ObjectIds from ``first`` on. A condition finds values of its own type only, and the
    server answers it from the index alone, in a third of the time that a bound takes it."""
    bound = {"$gte": first}
    while ids := ids_in(_found(endpoint, _one_batch(command | {"filter": {"_id": bound}}))):
        yield ids
        bound = {"$gt": ids[-1]}


def _the_last(endpoint: Endpoint, command: dict[str, Any], after: Any) -> list[bytes]:
    """The document whose id is MaxKey, if that is still to come: where a bound has no end it ends
    before that one."""
    if isinstance(after, MaxKey):
        return []
    query = {"filter": {"_id": MaxKey()}, "hint": {"_id": 1}}
    return documents_in(_found(endpoint, _one_batch(command | query)))


def _behind(command: dict[str, Any], after: Any) -> dict[str, Any]:
    # A bound, unlike a condition, takes ids of every type in their order; but takes its own,
    # which would leave no room for the next where documents are large.
    others = {} if after is BEGINNING else {"_id": {"$ne": after}}
    return _one_batch(command | {"filter": others, "hint": {"_id": 1}, "min": {"_id": after}})


def _one_batch(command: dict[str, Any]) -> dict[str, Any]:
    return command | {"sort": {"_id": 1}, "batchSize": command["limit"], "singleBatch": True}


def _found(endpoint: Endpoint, command: dict[str, Any]) -> bytes:
    reply = endpoint.command({**command, "readConcern": endpoint.concern.document}, RAW)
    return _batch_of(reply["cursor"].raw)


def _batch_of(cursor: memoryview | bytes) -> bytes:
    """The array in a reply; the cursor's id and the name of the collection stand beside it."""
    at = 4
    while True:
        kind = cursor[at]
        at += bytes(cursor[at : at + _LONGEST_NAME]).index(b"\x00") + 1
        if kind in _SIZES:
            at += _SIZES[kind]
            continue
        (size,) = LENGTH.unpack_from(cursor, at)
        if kind == _ARRAY:
            return bytes(cursor[at : at + size])
        at += size + 4  # a text, whose length doesn't count itself
