"""The ids of a range. ObjectIds stay the bytes that they are, from the source's documents into the
journal: making an object of each takes longer than copying its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from bson import ObjectId
from bson.raw_bson import RawBSONDocument

from datalayer.transfer.exact import LENGTH, OBJECT_ID_ELEMENT, id_of, key_of

__all__ = [
    "SIZE",
    "ObjectIds",
    "among",
    "are_of",
    "from_first_to_last",
    "ids_in",
    "ids_of",
    "packed",
]

SIZE = 12
"""The bytes of an ``ObjectId``."""
_FIRST, _END = 9, 21  # where a document's leading ObjectId stands
_ELEMENT = slice(4, _FIRST)
_VALUE = slice(_FIRST, _END)
# https://bsonspec.org/spec.html
_DOCUMENT, _OBJECT_ID = 0x03, 0x07
_ALONE = LENGTH.pack(_END + 1) + OBJECT_ID_ELEMENT
"""How a document begins that holds an ObjectId and nothing else."""


class ObjectIds(Sequence[ObjectId]):
    """ObjectIds, one behind the other in ``joined``; each is made when somebody asks for it."""

    __slots__ = ("joined",)

    def __init__(self, joined: bytes) -> None:
        self.joined = joined

    def __len__(self) -> int:
        return len(self.joined) // SIZE

    @overload
    def __getitem__(self, at: int) -> ObjectId: ...

    @overload
    def __getitem__(self, at: slice) -> ObjectIds: ...

    def __getitem__(self, at: int | slice) -> ObjectId | ObjectIds:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                raise ValueError("ids are next to each other")
            return ObjectIds(self.joined[start * SIZE : stop * SIZE])
        start = range(len(self))[at] * SIZE
        return ObjectId(self.joined[start : start + SIZE])

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
        joined = self.joined
        return (joined[start : start + SIZE] for start in range(0, len(joined), SIZE))


def ids_of(documents: Sequence[bytes]) -> Sequence[Any]:
    """The ids of ``documents``."""
    if {raw[_ELEMENT] for raw in documents} == {OBJECT_ID_ELEMENT}:
        return ObjectIds(b"".join([raw[_VALUE] for raw in documents]))
    return list(map(id_of, documents))


def ids_in(array: bytes) -> ObjectIds | None:
    """The ids in a BSON array of documents that hold an ObjectId and nothing else; ``None`` where
    one of them is another document.

    Taken out byte by byte, each of all elements at once: all that stand in a row and whose
    indexes have as many digits are of the same size.
    """
    found = bytearray()
    at, last, digits = 4, len(array) - 1, 1
    while at < last:
        start = _before_value(digits)
        step = start + len(_ALONE) + SIZE + 1
        count = min(_most_of(digits), (last - at) // step)
        end = at + count * step
        same = [(0, _DOCUMENT), *enumerate(_ALONE, start)]
        if not count or any(array[at + n : end : step].count(byte) != count for n, byte in same):
            return None
        stretch = bytearray(count * SIZE)
        for number in range(SIZE):
            stretch[number::SIZE] = array[at + start + len(_ALONE) + number : end : step]
        found += stretch
        at, digits = end, digits + 1
    return ObjectIds(bytes(found))


def packed(ids: Sequence[Any]) -> Sequence[Any]:
    """The same ids, as bytes where all are ObjectIds."""
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
    return list(map(key_of, found)) == list(map(key_of, ids))


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
    return RawBSONDocument(_document(b"\x04%b\x00" % operator + _document(_elements(ids))))


def _elements(ids: ObjectIds) -> bytes:
    """What is in a BSON array of ``ids``, put there as ``ids_in`` takes it out."""
    elements = bytearray()
    first, digits = 0, 1
    while first < len(ids):
        count = min(_most_of(digits), len(ids) - first)
        start = _before_value(digits)
        step = start + SIZE
        stretch = bytearray(count * step)
        stretch[::step] = bytes([_OBJECT_ID]) * count
        for place in range(digits):
            stretch[1 + place :: step] = _digits_at(place, digits)[:count]
        values = ids.joined[first * SIZE : (first + count) * SIZE]
        for number in range(SIZE):
            stretch[start + number :: step] = values[number::SIZE]
        elements += stretch
        first, digits = first + count, digits + 1
    return bytes(elements)


def _most_of(digits: int) -> int:
    """How many indexes have so many digits."""
    power: int = 10 ** (digits - 1)
    return 9 * power if digits > 1 else 10


def _before_value(digits: int) -> int:
    """The bytes of an element before its value: its type, and its index as text with its end."""
    return 1 + digits + 1


def _digits_at(place: int, digits: int) -> bytes:
    """The digit at ``place`` of each index that has so many digits."""
    in_a_row: int = 10 ** (digits - 1 - place)
    times: int = 10**place
    all_ten = b"".join(bytes([digit]) * in_a_row for digit in b"0123456789")
    return (all_ten * times)[-_most_of(digits) :]


def _document(elements: bytes) -> bytes:
    return LENGTH.pack(len(elements) + 5) + elements + b"\x00"
