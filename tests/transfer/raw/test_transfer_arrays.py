"""Arrays are made and taken apart as the driver would do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson
import pytest
from bson import ObjectId

from datalayer.transfer.raw.arrays import array_of_object_ids, documents_in, object_ids_in

COUNTS = [0, 1, 9, 10, 11, 99, 100, 101, 1000, 1234, 12345]


def array_of(values: Sequence[Any]) -> bytes:
    return bson.encode({"array": values})[4 + len("_array_") : -1]


def joined(ids: Sequence[ObjectId]) -> bytes:
    return b"".join(one.binary for one in ids)


@pytest.mark.parametrize("count", COUNTS)
def test_an_array_of_object_ids_is_the_drivers(count: int) -> None:
    ids = [ObjectId() for _ in range(count)]
    assert array_of_object_ids(joined(ids)) == array_of(ids)


@pytest.mark.parametrize("count", COUNTS)
def test_the_object_ids_in_an_array_are_found(count: int) -> None:
    ids = [ObjectId() for _ in range(count)]
    assert object_ids_in(array_of([{"_id": one} for one in ids])) == joined(ids)


@pytest.mark.parametrize("at", [0, 1, 9, 10, 11, 98, 99, 100, 119])
@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"_id": 1}, id="another type"),
        pytest.param({"_id": "x" * 7}, id="another type as long"),
        pytest.param({"_id": ObjectId(b"Ada and Bob."), "name": "Ada"}, id="more fields"),
        pytest.param({"_ID": ObjectId(b"Ada and Bob.")}, id="another name"),
        pytest.param({}, id="no fields"),
    ],
)
def test_an_array_with_another_document_is_none_of_object_ids(
    at: int, other: dict[str, Any]
) -> None:
    documents: list[dict[str, Any]] = [{"_id": ObjectId()} for _ in range(120)]
    documents[at] = other
    assert object_ids_in(array_of(documents)) is None


@pytest.mark.parametrize("count", COUNTS)
def test_the_documents_in_an_array_are_found(count: int) -> None:
    documents = [{"_id": number, "text": "x" * (number % 300)} for number in range(count)]
    assert documents_in(array_of(documents)) == list(map(bson.encode, documents))
