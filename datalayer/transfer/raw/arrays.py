"""BSON arrays as bytes, taken apart and made without an object for each element.

The name of an element is its index as text. So the elements whose indexes have as many digits and
whose values are of one size follow each other in equal steps, and each of their bytes is copied
for all of them at once. Rules from https://bsonspec.org/spec.html.
"""

from __future__ import annotations

from datalayer.transfer.raw.bson import OBJECT_ID_ELEMENT, OBJECT_ID_SIZE
from datalayer.transfer.raw.comparison_keys import LENGTH

_DOCUMENT, _OBJECT_ID = 0x03, 0x07
_FIRST = 4
"""Where the first element begins: the length of the array comes before it."""
_ID_ALONE = LENGTH.pack(4 + len(OBJECT_ID_ELEMENT) + OBJECT_ID_SIZE + 1) + OBJECT_ID_ELEMENT
"""How a document begins that holds an ObjectId as its ``_id`` and nothing else."""


def documents_in(array: bytes) -> list[bytes]:
    """The documents in an array of nothing else."""
    documents: list[bytes] = []
    at, last, digits = _FIRST, len(array) - 1, 1
    while at < last:
        name = _before_value(digits)
        for _ in range(_most_of(digits)):
            if at == last:
                break
            at += name
            (length,) = LENGTH.unpack_from(array, at)
            documents.append(array[at : at + length])
            at += length
        digits += 1
    return documents


def object_ids_in(array: bytes) -> bytes | None:
    """The ObjectIds, one behind the other, in an array of documents that hold one as their
    ``_id`` and nothing else; ``None`` where one of them is another document."""
    found = bytearray()
    at, last, digits = _FIRST, len(array) - 1, 1
    while at < last:
        value = _before_value(digits)
        step = value + len(_ID_ALONE) + OBJECT_ID_SIZE + 1
        count = min(_most_of(digits), (last - at) // step)
        end = at + count * step
        same = [(0, _DOCUMENT), *enumerate(_ID_ALONE, value)]
        if not count or any(array[at + n : end : step].count(byte) != count for n, byte in same):
            return None
        first = at + value + len(_ID_ALONE)
        ids = bytearray(count * OBJECT_ID_SIZE)
        for number in range(OBJECT_ID_SIZE):
            ids[number::OBJECT_ID_SIZE] = array[first + number : end : step]
        found += ids
        at, digits = end, digits + 1
    return bytes(found)


def array_of_object_ids(joined: bytes) -> bytes:
    """The array of ObjectIds that are one behind the other in ``joined``."""
    elements = bytearray()
    left, digits = joined, 1
    while left:
        count = min(_most_of(digits), len(left) // OBJECT_ID_SIZE)
        ids, left = left[: count * OBJECT_ID_SIZE], left[count * OBJECT_ID_SIZE :]
        value = _before_value(digits)
        step = value + OBJECT_ID_SIZE
        row = bytearray(count * step)
        row[::step] = bytes([_OBJECT_ID]) * count
        for place in range(digits):
            row[1 + place :: step] = _digits_at(place, digits)[:count]
        for number in range(OBJECT_ID_SIZE):
            row[value + number :: step] = ids[number::OBJECT_ID_SIZE]
        elements += row
        digits += 1
    return document_of(bytes(elements))


def document_of(elements: bytes) -> bytes:
    """The document, or the array, of elements that stand one behind the other."""
    return LENGTH.pack(len(elements) + 5) + elements + b"\x00"


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
