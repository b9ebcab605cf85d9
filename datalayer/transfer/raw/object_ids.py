"""The ids of a range. ObjectIds stay the bytes that they are, from the source's documents into the
journal: making an object of each takes longer than copying its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from datalayer.transfer.raw.arrays import (
    array_of_object_ids,
    document_of,
    documents_in,
    object_ids_in,
)
from datalayer.transfer.raw.bson import (
    OBJECT_ID_ELEMENT,
    OBJECT_ID_SIZE,
    id_of,
    key_in,
    key_of,
)

_FIRST, _END = 9, 21  # where a document's leading ObjectId stands
_ELEMENT = slice(4, _FIRST)
_VALUE = slice(_FIRST, _END)


class ObjectIds(Sequence[ObjectId]):
    """ObjectIds, one behind the other in ``joined``; each is made when somebody asks for it."""

    __slots__ = ("joined",)

    def __init__(self, joined: bytes) -> None:
        self.joined = joined

    def __len__(self) -> int:
        return len(self.joined) // OBJECT_ID_SIZE

    @overload
    def __getitem__(self, at: int) -> ObjectId: ...

    @overload
    def __getitem__(self, at: slice) -> ObjectIds: ...

    def __getitem__(self, at: int | slice) -> ObjectId | ObjectIds:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                raise ValueError("ids are next to each other")
            return ObjectIds(self.joined[start * OBJECT_ID_SIZE : stop * OBJECT_ID_SIZE])
        start = range(len(self))[at] * OBJECT_ID_SIZE
        return ObjectId(self.joined[start : start + OBJECT_ID_SIZE])

    def __iter__(self) -> Iterator[ObjectId]:
        return map(ObjectId, self.each())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ObjectIds):
            return self.joined == other.joined
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # like a list

    def __repr__(self) -> str:
        return f"<{len(self)} ObjectIds>"

    def each(self) -> Iterator[bytes]:
        """The bytes of each."""
        joined, size = self.joined, OBJECT_ID_SIZE
        return (joined[start : start + size] for start in range(0, len(joined), size))


def ids_of(documents: Sequence[bytes]) -> Sequence[Any]:
    """The ids of ``documents``."""
    if {raw[_ELEMENT] for raw in documents} == {OBJECT_ID_ELEMENT}:
        return ObjectIds(b"".join([raw[_VALUE] for raw in documents]))
    return list(map(id_of, documents))


def ids_in(array: bytes) -> Sequence[Any]:
    """The ids of the documents in a BSON array; the quickest where they hold nothing else."""
    joined = object_ids_in(array)
    return ids_of(documents_in(array)) if joined is None else ObjectIds(joined)


def packed(ids: Sequence[Any]) -> Sequence[Any]:
    """``ids``, as bytes where all are ObjectIds."""
    if isinstance(ids, ObjectIds) or set(map(type, ids)) != {ObjectId}:
        return ids
    return ObjectIds(b"".join([one.binary for one in ids]))


def pieces(ids: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """``ids``, at most so many at once."""
    for start in range(0, len(ids), most):
        yield ids[start : start + most]


def are_of(documents: Sequence[bytes], ids: Sequence[Any]) -> bool:
    """Whether ``documents`` are those of ``ids``, in their order."""
    if len(documents) != len(ids):
        return False
    found = ids_of(documents)
    if isinstance(found, ObjectIds):
        return found == packed(ids)
    return list(map(key_in, documents)) == list(map(key_of, ids))


def among(ids: Sequence[Any]) -> Mapping[str, Any]:
    """The condition that a value is one of ``ids``."""
    if not isinstance(ids, ObjectIds):
        return {"$in": list(ids)}
    return _condition(b"$in", ids)


def from_first_to_last(ids: ObjectIds) -> Mapping[str, Any]:
    """A filter for the documents of ``ids``, which are in order and next to each other.

    The server goes from the first to the last, instead of looking for each. It would look for
    each if it saw that the condition which leaves out all others is about the same index.
    """
    others = _condition(b"$nin", ids)
    return {"_id": {"$gte": ids[0], "$lte": ids[-1]}, "$nor": [{"_id": others}]}


def _condition(operator: bytes, ids: ObjectIds) -> RawBSONDocument:
    array = array_of_object_ids(ids.joined)
    return RawBSONDocument(document_of(b"\x04%b\x00" % operator + array))
