"""BSON as no driver writes it: wrong lengths and types, keys that stand there twice, text that
isn't UTF-8 or has no end, documents too deep, and documents of which bytes were changed.

Nothing in here asks the ``bson`` package, which may read or refuse what comes out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

# The keys of a document with the types that their values most often have: each with the keys in it
# for a document, the types in it for an array, and the texts that are known for a string.
Schema = Mapping[bytes, Mapping[int, Any]]

DOCUMENT, ARRAY = 3, 4
LENGTHS = (0, 1, 3, 4, 5, 6, 100, 2**16, 2**31 - 1, 2**31, 2**32 - 1)  # as unsigned numbers
INTEGERS = (0, -1, 7, 2**31 - 1, -(2**31), 2**53, 2**63 - 1, -(2**63))
TIMES = (0, 1, -1, 253402300799999, 253402300800000, -62135596800000, -62135596800001)
DOUBLES = (0.0, -0.0, 1.5, float("inf"), float("nan"))
GOOD_TEXTS = (b"", b"a", b"7", b"2026-01-02", b"true", "é\u20ac\U0001f600".encode(), b"a\0b")
BAD_TEXTS = (
    b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\x80",
    b"\xf0\x80\x80\x80", b"eight of a\x80", b"eight of\xc3",
)  # fmt: skip
DECIMALS = (bytes(16), b"\1" + bytes(13) + b"\x40\x30", b"\xff" * 16)
KEYS = (b"", b"0", b"unknown", b"_cls", b"$ref", b"$id", b"a.b", b"\xff", b"\xc3\xa9")


def int32(number: int) -> bytes:
    """A length, which may be none."""
    return struct.pack("<I", number & 0xFFFFFFFF)


def int64(number: int) -> bytes:
    """A number of eight bytes."""
    return struct.pack("<q", number)


def document(elements: bytes, off_by: int = 0) -> bytes:
    """A document of elements; its length is wrong by so many bytes."""
    return int32(len(elements) + 5 + off_by) + elements + b"\0"


def element(kind: int, key: bytes, value: bytes) -> bytes:
    """One element, whatever its value is."""
    return bytes([kind]) + key + b"\0" + value


def text(content: bytes) -> bytes:
    """The value of a string."""
    return int32(len(content) + 1) + content + b"\0"


def nested(levels: int, kind: int, key: bytes, inside: bytes = b"") -> bytes:
    """A document of so many levels, of documents or of arrays."""
    made = document(inside)
    for _ in range(levels - 1):
        made = document(element(kind, key, made))
    return made


def hostile(random: Random, schema: Schema) -> bytes:
    """A document of a schema that may be malformed, in its making or by changes afterwards."""
    made = _document(random, schema, rare=random.choice((0.0, 0.0, 0.005, 0.03)), levels=5)
    if random.random() < 0.6:
        return made
    changed = mutated(random, made)
    return int32(len(changed)) + changed[4:] if random.random() < 0.6 else changed


def mutated(random: Random, given: bytes) -> bytes:
    """The same with up to three changes."""
    for _ in range(random.randint(1, 3)):
        given = random.choice(_MUTATIONS)(random, given, random.randint(0, len(given)))
    return given


_MUTATIONS: tuple[Callable[[Random, bytes, int], bytes], ...] = (
    lambda random, given, at: given[:at],
    lambda random, given, at: given[:at] + given[at + random.randint(1, 4) :],
    lambda random, given, at: given[:at] + random.randbytes(random.randint(1, 4)) + given[at:],
    lambda random, given, at: given[:at] + random.randbytes(1) + given[at + 1 :],
    lambda random, given, at: given[:at] + b"\0" + given[at + 1 :],
    lambda random, given, at: (
        given[:at] + bytes([random.choice((*TYPES, 0x06, 0x14))]) + given[at + 1 :]
    ),
    lambda random, given, at: given[:at] + int32(random.choice(LENGTHS)) + given[at + 4 :],
    lambda random, given, at: given + given[at:],
)


def _document(random: Random, schema: Schema, rare: float, levels: int) -> bytes:
    names = random.sample([*schema], random.randint(0, len(schema))) if schema else []
    if random.random() < 0.5:
        names = [name for name in schema if name in names]
    while random.random() < rare * 3:
        names.insert(random.randint(0, len(names)), random.choice((*KEYS, *schema)))
    elements = b"".join(
        _element(random, name, schema.get(name, {}), rare, levels - 1) for name in names
    )
    return document(elements, _off_by(random, rare))


def _element(
    random: Random, name: bytes, likely: Mapping[int, Any], rare: float, levels: int
) -> bytes:
    if not likely or random.random() < max(rare, 0.02):
        kind = random.choice(TYPES)
    else:
        kind = random.choice([*likely])
    return element(kind, name, _value(random, kind, likely.get(kind), rare, levels))


def _value(random: Random, kind: int, inside: Any, rare: float, levels: int) -> bytes:
    if kind == DOCUMENT:
        return _document(random, inside or {}, rare, levels) if levels else document(b"")
    if kind == ARRAY:
        return _array(random, inside or {}, rare, levels)
    if inside and random.random() < 0.9:
        return text(random.choice(inside))
    return _VALUES.get(kind, lambda random, rare: b"")(random, rare)


def _array(random: Random, likely: Mapping[int, Any], rare: float, levels: int) -> bytes:
    count = random.choice((0, 1, 2, 3)) if levels else 0
    elements = [
        _element(random, b"%d" % index, likely, rare, levels - 1) for index in range(count)
    ]
    return document(b"".join(elements), _off_by(random, rare))


def _off_by(random: Random, rare: float) -> int:
    return random.choice((1, -1, 2, 1000, 2**31)) if random.random() < rare / 3 else 0


def _text(random: Random, rare: float) -> bytes:
    content = random.choice(BAD_TEXTS if random.random() < rare else GOOD_TEXTS)
    end = b"x" if random.random() < rare / 3 else b"\0"
    return int32(len(content) + 1 + _off_by(random, rare)) + content + end


def _binary(random: Random, rare: float) -> bytes:
    content = random.choice((b"", b"abc", b"\3\0\0\0abc", b"0123456789abcdef"))
    kind = random.choice((0, 0, 2, 3, 4, 5, 128, 255))
    return int32(len(content) + _off_by(random, rare)) + bytes([kind]) + content


_VALUES: dict[int, Callable[[Random, float], bytes]] = {
    0x01: lambda random, rare: struct.pack("<d", random.choice(DOUBLES)),
    0x02: _text,
    0x05: _binary,
    0x07: lambda random, rare: random.randbytes(12),
    0x08: lambda random, rare: b"\2" if random.random() < rare else random.choice((b"\0", b"\1")),
    0x09: lambda random, rare: int64(
        random.choice(TIMES) if random.random() < rare else 1767312000123
    ),
    0x0B: lambda random, rare: random.choice((b"a\0i\0", b"(\0\0", b"a\0")),  # expressions
    0x0C: lambda random, rare: _text(random, rare) + b"0123456789ab",  # references of old
    0x0D: _text,  # code
    0x0E: _text,  # symbols
    0x0F: lambda random, rare: int32(20) + int32(2) + b"a\0" + document(b"") + b"\0" * 5,
    0x10: lambda random, rare: int32(random.choice(INTEGERS)),
    0x11: lambda random, rare: random.randbytes(8),
    0x12: lambda random, rare: int64(random.choice(INTEGERS)),
    0x13: lambda random, rare: random.choice(DECIMALS),
}
TYPES = (*_VALUES, DOCUMENT, ARRAY, 0x0A, 0x7F, 0xFF)
