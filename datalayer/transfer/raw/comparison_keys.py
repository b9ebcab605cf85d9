"""Values as the server compares them: two have the same key if, and only if, the server takes them
for equal in a collection without a collation. Numbers count by value whatever their type, symbols
as texts, and both at any depth of embedded documents and arrays."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bson import Decimal128

LENGTH = struct.Struct("<i")
"""How many bytes a document has, and a text."""

# https://bsonspec.org/spec.html: the kinds of values, and the bytes that each takes.
_DOUBLE, _TEXT, _DOCUMENT, _ARRAY, _BINARY = 0x01, 0x02, 0x03, 0x04, 0x05
_REGEX, _POINTER, _CODE, _SYMBOL, _CODE_WITH_SCOPE = 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
_INT32, _INT64, _DECIMAL = 0x10, 0x12, 0x13
_FIXED = {
    _DOUBLE: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0,
    _INT32: 4, 0x11: 8, _INT64: 8, _DECIMAL: 16, 0x7F: 0, 0xFF: 0,
}  # fmt: skip
_BESIDE_LENGTH = {
    _TEXT: 4, _CODE: 4, _SYMBOL: 4, _DOCUMENT: 0, _ARRAY: 0, _CODE_WITH_SCOPE: 0,
    _BINARY: 5, _POINTER: 16,
}  # fmt: skip
_NUMBERS = frozenset({_DOUBLE, _INT32, _INT64, _DECIMAL})

_OTHERS = b"\x00" * 12
"""Before the keys of all but ObjectIds, whose keys are their twelve bytes."""
_NUMBER_KEY = _OTHERS + bytes([_DOUBLE])
_TEXT_KEY = _OTHERS + bytes([_TEXT])


def key_of_integer(value: int) -> bytes:
    """The key of a whole number."""
    return _NUMBER_KEY + b"%x/1" % value


def key_of_text(value: str) -> bytes:
    """The key of a text."""
    encoded = value.encode()
    return _TEXT_KEY + LENGTH.pack(len(encoded) + 1) + encoded + b"\x00"


def key_of_value(kind: int, value: bytes) -> bytes:
    """The key of any value but an ObjectId, from its kind and its bytes."""
    return _OTHERS + _plain(kind, value)


def size_of(kind: int, raw: bytes, at: int) -> int:
    """The bytes of the value that begins ``at``."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == _REGEX:
        options = raw.index(b"\x00", at) + 1
        return raw.index(b"\x00", options) + 1 - at
    (length,) = LENGTH.unpack_from(raw, at)
    return int(length) + _BESIDE_LENGTH[kind]


def _plain(kind: int, value: bytes) -> bytes:
    """Kind and value in the one form that equal values share."""
    if kind in _NUMBERS:
        return bytes([_DOUBLE]) + _ratio(kind, value)
    if kind == _SYMBOL:
        return bytes([_TEXT]) + value
    if kind in (_DOCUMENT, _ARRAY):
        named = kind == _DOCUMENT
        return bytes([kind]) + b"".join(
            (name if named else b"") + LENGTH.pack(len(plain)) + plain
            for name, plain in _elements(value)
        )
    if kind == _CODE_WITH_SCOPE:
        end = 4 + size_of(_TEXT, value, 4)
        return bytes([kind]) + value[4:end] + _plain(_DOCUMENT, value[end:])
    return bytes([kind]) + value


def _elements(document: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, last = 4, len(document) - 1
    while at < last:
        kind = document[at]
        begins = document.index(b"\x00", at) + 1
        ends = begins + size_of(kind, document, begins)
        yield document[at + 1 : begins], _plain(kind, document[begins:ends])
        at = ends


def _ratio(kind: int, value: bytes) -> bytes:
    """A number exactly, in its lowest terms: a double and a decimal may be close to each other,
    and all the same not equal."""
    if kind == _DECIMAL:
        decimal = Decimal128.from_bid(value).to_decimal()
        if not decimal.is_finite():
            return b"nan" if decimal.is_nan() else b"inf" if decimal > 0 else b"-inf"
        return b"%x/%x" % decimal.as_integer_ratio()
    if kind != _DOUBLE:
        return b"%x/1" % int.from_bytes(value, "little", signed=True)
    (double,) = struct.unpack("<d", value)
    try:
        return b"%x/%x" % double.as_integer_ratio()
    except ValueError:
        return b"nan"
    except OverflowError:
        return b"inf" if double > 0 else b"-inf"
