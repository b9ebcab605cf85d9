"""Ids kept as bytes are the same to everybody as a list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bson
import pytest
from bson import ObjectId
from moving import Databases
from pymongo import MongoClient

from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.raw.find import BEGINNING, ids_behind
from datalayer.transfer.raw.object_ids import (
    ObjectIds,
    among,
    are_of,
    from_first_to_last,
    ids_in,
    ids_of,
    packed,
)

IDS = [ObjectId() for _ in range(12)]
MIXED = [1, "two", ObjectId(), None, {"three": 3}]


def documents(ids: Sequence[Any], **more: Any) -> list[bytes]:
    return [bson.encode({"_id": one, **more}) for one in ids]


def test_the_ids_of_documents_are_kept_as_bytes_where_all_are_object_ids() -> None:
    found = ids_of(documents(IDS, name="Ada"))
    assert isinstance(found, ObjectIds)
    assert list(found) == IDS


def test_the_ids_of_documents_may_be_of_any_types() -> None:
    assert ids_of(documents(MIXED)) == MIXED


def test_an_id_that_does_not_come_first_is_found() -> None:
    assert ids_of([bson.encode({"name": "Ada", "_id": IDS[0]})]) == IDS[:1]


def test_no_documents_have_no_ids() -> None:
    assert list(ids_of([])) == []


def test_packed_ids_behave_like_a_list() -> None:
    ids = packed(IDS)
    assert isinstance(ids, ObjectIds)
    assert (len(ids), ids[0], ids[-1], list(ids[3:7])) == (12, IDS[0], IDS[-1], IDS[3:7])
    assert ids == IDS
    assert IDS[5] in ids
    with pytest.raises(IndexError):
        ids[12]


@pytest.mark.parametrize("ids", [MIXED, []], ids=["mixed", "none"])
def test_other_ids_stay_as_they_are(ids: list[Any]) -> None:
    assert packed(ids) is ids


@pytest.mark.parametrize(
    "ids", [packed(IDS), packed(IDS * 100), IDS, MIXED], ids=["12", "1200", "a list", "mixed"]
)
def test_the_condition_to_be_one_of_them_is_the_servers_own(ids: Sequence[Any]) -> None:
    condition = bson.encode({"_id": among(ids)})
    assert condition == bson.encode({"_id": {"$in": list(ids)}})


@pytest.mark.parametrize("ids", [IDS, MIXED, []], ids=["ObjectIds", "mixed", "none"])
def test_the_ids_of_the_documents_in_an_array_are_found(ids: Sequence[Any]) -> None:
    array = bson.encode({"page": [{"_id": one} for one in ids]})[4 + len("_page_") : -1]
    assert list(ids_in(array)) == ids


def test_ids_that_are_asked_for_by_the_first_and_the_last_leave_out_all_others(uri: str) -> None:
    ids = [ObjectId(f"{number:024x}") for number in range(20)]
    wanted = packed([one for one in ids[3:15] if one != ids[7]])
    assert isinstance(wanted, ObjectIds)
    with MongoClient[dict[str, Any]](uri) as client:
        collection = client.get_default_database().things
        collection.insert_many([{"_id": one} for one in ids])
        found = collection.find(from_first_to_last(wanted)).sort("_id", 1)
        assert [each["_id"] for each in found] == list(wanted)


def test_ids_of_every_type_are_read_page_by_page_in_their_order(databases: Databases) -> None:
    numbers: list[Any] = list(range(6))
    ids = [*numbers, *(ObjectId() for _ in range(13)), False, True]
    databases["default"].things.insert_many([{"_id": one} for one in ids])
    pages = list(ids_behind(Endpoint.of("default"), "things", BEGINNING, 4))
    assert [one for page in pages for one in page] == ids
    assert max(map(len, pages)) == 4


@pytest.mark.parametrize("ids", [IDS, MIXED], ids=["ObjectIds", "mixed"])
def test_documents_are_told_from_those_of_other_ids(ids: list[Any]) -> None:
    found = documents(ids, name="Ada")
    assert are_of(found, ids)
    assert are_of(found, packed(ids))
    assert not are_of(found, ids[:-1])
    assert not are_of(found, ids[::-1])
    assert not are_of(found, [*ids[:-1], ObjectId()])
