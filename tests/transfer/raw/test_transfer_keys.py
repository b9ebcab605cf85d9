"""Two ids have the same key if, and only if, the server takes them for equal."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import bson
import pytest
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from datalayer.transfer.raw.bson import id_of, key_in, key_of

Value = tuple[int, bytes]
"""The kind of a value, and its bytes."""

EQUAL = [
    (5, 5.0),
    (5, Int64(5)),
    (5, Decimal128("5")),
    (5, Decimal128("5.00")),
    (0.0, -0.0),
    (0, Decimal128("-0E+3")),
    (float("nan"), Decimal128("NaN")),
    (float("inf"), Decimal128("Infinity")),
    (2**53, float(2**53)),
    (0.5, Decimal128("0.5")),
    ({"a": [1, {"b": 2}]}, {"a": [1.0, {"b": Int64(2)}]}),
    (ObjectId("5" * 24), ObjectId("5" * 24)),
]
UNEQUAL = [
    (2**53 + 1, float(2**53)),
    (0.1, Decimal128("0.1")),
    (1, True),
    (0, False),
    (None, False),
    ("5", 5),
    ("a", Code("a")),
    (b"a", "a"),
    (b"a", Binary(b"a", 5)),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": 1}, {"b": 1}),
    ({"a": []}, {"a": {}}),
    (MinKey(), MaxKey()),
    (datetime(1970, 1, 1, tzinfo=UTC), Timestamp(0, 0)),
    ("", ObjectId(bson.encode({"": ""})[:12])),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_ids_have_one_key(one: Any, other: Any) -> None:
    assert key_of(one) == key_of(other)
    assert key_in(bson.encode({"_id": one})) == key_of(other)


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_other_ids_have_others(one: Any, other: Any) -> None:
    assert key_of(one) != key_of(other)
    assert key_in(bson.encode({"_id": one})) == key_of(one)


def test_an_id_that_does_not_come_first_has_the_same_key() -> None:
    assert key_in(bson.encode({"a": 1, "_id": 5.0})) == key_of(5)


def document(*elements: tuple[bytes, Value]) -> bytes:
    body = b"".join(bytes([kind]) + name + b"\0" + value for name, (kind, value) in elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


WHOLE = [0, 1, -1, 5, 2**31, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]
DOUBLES = [0.1, 0.5, -0.0, float("nan"), float("inf"), -float("inf"), 1e300, 1 / 3, 2.0**63]
DECIMALS = [
    "0.1", "0.10", "0.5", "5E-1", "-0", "NaN", "-NaN", "Infinity", "-Infinity", "1E+300",
    "1E+6111", "1E-6176", "9223372036854775808", "0.3333333333333333148296162562473909",
]  # fmt: skip
OTHERS: list[Value] = [
    (0x06, b""), (0x0A, b""), (0x08, b"\0"), (0x08, b"\1"), (0x7F, b""), (0xFF, b""),
    (0x09, struct.pack("<q", 5)), (0x11, struct.pack("<q", 5)),
    (0x05, struct.pack("<i", 2) + b"\0ab"), (0x05, struct.pack("<i", 2) + b"\5ab"),
    (0x07, b"1" * 12), (0x0B, b"a\0i\0"), (0x0B, b"a\0im\0"), (0x0D, text(b"a")),
]  # fmt: skip


def number(random: Random) -> Value:
    whole = random.choice(WHOLE)
    match random.randrange(5):
        case 0 if -(2**31) <= whole < 2**31:
            return 0x10, struct.pack("<i", whole)
        case 1:
            return 0x12, struct.pack("<q", whole)
        case 2:
            return 0x01, struct.pack("<d", random.choice([float(whole), *DOUBLES]))
        case _:
            return 0x13, Decimal128(random.choice([str(whole), f"{whole}.0", *DECIMALS])).bid


def value(random: Random, depth: int = 0) -> Value:
    kind = random.randrange(10)
    if kind < 4:
        return number(random)
    if kind < 6:
        return random.choice([0x02, 0x0E]), text(random.choice([b"a", b"A", b"", b"a\0b"]))
    if kind < 8 and depth < 3:
        names: Sequence[bytes] = [random.choice([b"a", b"b"]) for _ in range(random.randrange(3))]
        return 0x03, document(*((name, value(random, depth + 1)) for name in names))
    if kind < 9 and depth < 3:
        count = random.randrange(3)
        return 0x04, document(*((b"%d" % at, value(random, depth + 1)) for at in range(count)))
    return random.choice(OTHERS)


@pytest.mark.parametrize("seed", range(4))
def test_keys_agree_with_the_server_on_values_of_all_kinds(uri: str, seed: int) -> None:
    random = Random(seed)
    values = [value(random) for _ in range(120)]
    keys = [key_in(document((b"_id", each))) for each in values]
    numbered = [
        document((b"_id", (0x10, struct.pack("<i", at))), (b"value", each))
        for at, each in enumerate(values)
    ]
    same: list[dict[str, Any]] = [
        {"$match": {"$expr": {"$eq": ["$value", "$$value"]}}},
        {"$project": {"_id": 1}},
    ]
    joined = {"from": "values", "let": {"value": "$value"}, "pipeline": same, "as": "same"}
    with MongoClient[Any](uri) as client:
        collection = client.get_default_database()["values"]
        collection.insert_many(map(RawBSONDocument, numbered))
        for each in collection.aggregate([{"$lookup": joined}, {"$project": {"same._id": 1}}]):
            equal = {found["_id"] for found in each["same"]}
            at = each["_id"]
            assert equal == {other for other, key in enumerate(keys) if key == keys[at]}, values[
                at
            ]


def test_a_decoded_id_has_the_key_of_its_bytes() -> None:
    random = Random(7)
    refused = {0x04, 0x06, 0x0B}  # as the server refuses them as _id
    found = [each for each in (value(random) for _ in range(500)) if each[0] not in refused]
    for raw in (document((b"_id", each)) for each in found):
        assert key_of(id_of(raw)) == key_in(raw)
