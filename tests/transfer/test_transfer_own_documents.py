"""A rollback takes back what the transfer wrote, and leaves all that is somebody else's."""

from __future__ import annotations

from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from moving import DAY, Databases, messages, plan, raw, when
from pymongo.collection import Collection

from datalayer import transfer
from datalayer.errors import TransferError

ROUTES = pytest.mark.parametrize(
    ("target", "method"),
    [("database1", "merge"), ("database1", "copy"), ("archive", "copy")],
    ids=["by the server", "within a cluster", "between clusters"],
)
FORCE = pytest.mark.parametrize("force", [False, True], ids=["", "forced"])
PAIRS: list[tuple[Any, Any]] = [
    (5, 5.0), (6, Int64(6)), (7, Decimal128("7.0")), (0.0, -0.0), (8.5, Decimal128("8.5")),
    (float("nan"), Decimal128("NaN")), ({"a": [1]}, {"a": [1.0]}),
]  # fmt: skip
"""An id in the source, and one in the target that the server takes for the same."""


def interrupted(phase: str, done: int, **options: Any) -> None:
    """A run that ends in the middle of ``phase``."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run(plan(**options), on_progress=when(phase, interrupt, done))


def fill(databases: Databases, target: str) -> None:
    databases["default"].messages.insert_many([{"_id": one, "v": "source"} for one, _ in PAIRS])
    databases["default"].messages.insert_many(messages(20))
    databases[target].messages.insert_many([{"_id": other, "v": "target"} for _, other in PAIRS])


@ROUTES
@FORCE
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
@pytest.mark.parametrize("conflicts", ["skip", "replace"])
def test_documents_with_an_equal_id_of_another_type_come_out_as_they_were(
    databases: Databases, target: str, method: Any, force: bool, move: bool, conflicts: Any
) -> None:
    fill(databases, target)
    before = databases.state()
    made = plan(target=target, method=method, conflicts=conflicts, move=move)
    report = transfer.run(made)
    assert report.state == "done"
    assert getattr(report, "skipped" if conflicts == "skip" else "replaced") == len(PAIRS)
    assert transfer.rollback("t", force=force).state == "rolled_back"
    assert databases.state() == before


@ROUTES
@FORCE
def test_ids_that_are_the_same_by_the_collation_count_as_the_same(
    databases: Databases, target: str, method: Any, force: bool
) -> None:
    collation = {"locale": "en", "strength": 2}
    source = databases["default"].create_collection("messages", collation=collation)
    source.insert_many([{"_id": one, "v": "source"} for one in ("a", "b", "c", "d")])
    there = databases[target].create_collection("messages", collation=collation)
    there.insert_many([{"_id": one, "v": "target"} for one in ("A", "c", "x")])
    before = databases.state()
    report = transfer.run(plan(target=target, method=method, conflicts="skip"))
    assert (report.state, report.skipped, report.verified) == ("done", 2, 2)
    assert [each["_id"] for each in there.find().sort("_id")] == ["A", "b", "c", "d", "x"]
    transfer.rollback("t", force=force)
    assert databases.state() == before


def test_an_id_that_is_spelt_otherwise_is_not_replaced(databases: Databases) -> None:
    collation = {"locale": "en", "strength": 2}
    for alias, one in (("default", "a"), ("archive", "A")):
        databases[alias].create_collection("messages", collation=collation)
        databases[alias].messages.insert_one({"_id": one})
    before = databases.state()
    with pytest.raises(TransferError, match=r"spelt otherwise \('A'\)"):
        transfer.run(plan(conflicts="replace"))
    transfer.rollback("t")
    assert databases.state() == before


def test_documents_that_come_in_between_under_an_equal_id_stop_the_transfer(
    databases: Databases,
) -> None:
    databases["default"].messages.insert_many([{"_id": one, "v": "source"} for one in range(40)])
    stranger = {"_id": 35.0, "v": "target"}
    meddle = when("copy", lambda: databases["archive"].messages.insert_one(stranger))
    with pytest.raises(TransferError, match="from somebody else during the transfer"):
        transfer.run(plan(batch_size=5), on_progress=meddle)
    transfer.rollback("t")
    assert list(databases["archive"].messages.find()) == [stranger]


@FORCE
def test_what_comes_before_a_range_is_written_again_stays(
    databases: Databases, force: bool
) -> None:
    databases["default"].messages.insert_many([{"_id": one, "v": "source"} for one in range(40)])
    interrupted("copy", 10, batch_size=5)
    target = databases["archive"].messages
    entered = databases["archive"].datalayer_transfer_ranges.find({"state": "copying"})
    ids = [one for each in entered for one in each["ids"]]
    strangers = [{"_id": float(one), "v": "target"} for one in ids]
    for each in strangers:  # as if they had come before the range was written
        target.delete_one({"_id": each["_id"]})
        target.insert_one(each)
    if not force:
        with pytest.raises(TransferError, match=rf"have changed .*: {len(ids)} \("):
            transfer.rollback("t")
    transfer.rollback("t", force=True)
    assert list(target.find().sort("_id")) == strangers


def test_a_document_of_somebody_else_in_an_unverified_range_stays(databases: Databases) -> None:
    databases.fill(40)
    interrupted("verify", 0)
    stranger = {"_id": messages(1, 7)[0]["_id"], "mine": True}
    target = databases["archive"].messages
    target.replace_one({"_id": stranger["_id"]}, stranger)
    with pytest.raises(TransferError, match=rf": 1 \(.*{stranger['_id']}.*--force"):
        transfer.rollback("t")
    assert target.count_documents({}) == 40
    target.delete_one({"_id": stranger["_id"]})
    transfer.rollback("t")
    assert raw(target) == []


def test_verifying_again_does_not_make_another_document_the_transfers_own(
    databases: Databases,
) -> None:
    databases.fill(40)
    transfer.run(plan())
    databases["archive"].messages.update_one({"number": 7}, {"$set": {"text": "precious"}})
    assert transfer.verify("t").differing == 1
    with pytest.raises(TransferError, match=r"'messages' on 'archive' have changed .*: 1 \("):
        transfer.rollback("t")
    assert databases["archive"].messages.count_documents({"text": "precious"}) == 1


@pytest.mark.parametrize("marks", [True, False], ids=["", "of an earlier version"])
def test_nor_does_it_where_a_move_has_left_the_document_in_the_source(
    databases: Databases, marks: bool
) -> None:
    databases.fill(40)
    target = databases["archive"].messages

    def change() -> None:
        target.update_one({"number": 7}, {"$set": {"text": "precious"}})

    assert transfer.run(plan(move=True), on_progress=when("copy", change, 40)).left == 1
    if not marks:
        ranges = databases["archive"].datalayer_transfer_ranges
        ranges.update_many({}, {"$unset": {"marks": True}})
    transfer.verify("t")
    with pytest.raises(TransferError, match=r"have changed .*: 1 \("):
        transfer.rollback("t")
    assert target.count_documents({"text": "precious"}) == 1


def change_two(collection: Collection[Any]) -> None:
    collection.update_many({"number": {"$in": [7, 33]}}, {"$set": {"text": "later"}})


def test_documents_that_changed_since_a_move_are_counted_and_named(databases: Databases) -> None:
    databases.fill(40)
    transfer.run(plan(move=True))
    change_two(databases["archive"].messages)
    ids = [str(each["_id"]) for each in messages(40) if each["number"] in (7, 33)]
    with pytest.raises(TransferError) as caught:
        transfer.rollback("t")
    assert "'messages' on 'archive' have changed since they were verified" in str(caught.value)
    assert ": 2 (" in str(caught.value)
    assert [one in str(caught.value) for one in ids] == [True, True]
    assert databases["default"].messages.count_documents({}) == 0
    transfer.rollback("t", force=True)
    assert databases["default"].messages.count_documents({"text": "later"}) == 2


def test_at_most_five_ids_are_named(databases: Databases) -> None:
    databases.fill(40)
    transfer.run(plan(move=True))
    databases["archive"].messages.update_many({}, {"$set": {"text": "later"}})
    with pytest.raises(TransferError) as caught:
        transfer.rollback("t")
    assert ": 40 (" in str(caught.value)
    assert str(caught.value).count("ObjectId(") == 5


RESHAPES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without a way back": {"transform": "moving:shouted"},
    "with a way back": {"transform": "moving:shouted", "inverse": "moving:whispered"},
}


@pytest.mark.parametrize("way", list(RESHAPES))
def test_a_document_made_anew_in_the_source_and_the_moved_one_both_stay(
    databases: Databases, way: str
) -> None:
    databases.fill(40)
    before = raw(databases["default"].messages)
    transfer.run(plan(move=True, **RESHAPES[way]))
    source, target = databases["default"].messages, databases["archive"].messages
    anew = {"_id": messages(1, 7)[0]["_id"], "anew": True}
    source.insert_one(anew)
    moved = target.find_one({"_id": anew["_id"]})
    with pytest.raises(TransferError, match=rf"made anew there: 1 \(.*{anew['_id']}"):
        transfer.rollback("t")
    assert list(source.find()) == [anew]
    assert target.count_documents({}) == 40
    report = transfer.rollback("t", force=True)
    assert (report.state, report.complete) == ("rolled_back", True)
    assert f"1 documents of 'messages' on 'archive' are left as they are ({anew['_id']!r})" == (
        report.problem
    )
    assert list(target.find()) == [moved]
    assert source.find_one({"_id": anew["_id"]}) == anew
    assert source.count_documents({}) == 40
    assert set(raw(source)) >= {each for each in before if b"message 7\x00" not in each}
    kept = ["datalayer_transfer_sources.t.0"] if way == "without a way back" else []
    assert databases.left_beside() == kept


def test_a_rollback_goes_on_when_one_of_the_two_was_taken_away(databases: Databases) -> None:
    databases.fill(40)
    before = databases.state()
    transfer.run(plan(move=True))
    anew = {"_id": messages(1, 7)[0]["_id"], "anew": True}
    databases["default"].messages.insert_one(anew)
    with pytest.raises(TransferError, match="both are left in place"):
        transfer.rollback("t")
    databases["default"].messages.delete_one(anew)
    transfer.rollback("t")
    assert databases.state() == before


def test_the_same_document_made_anew_is_no_obstacle(databases: Databases) -> None:
    databases.fill(40)
    before = databases.state()
    transfer.run(plan(move=True))
    databases["default"].messages.insert_many(messages(3, 7))
    transfer.rollback("t")
    assert databases.state() == before


def test_an_equal_id_of_another_type_in_the_source_is_another_document(
    databases: Databases,
) -> None:
    databases["default"].messages.insert_many([{"_id": one, "v": 1} for one in range(10)])
    transfer.run(plan(move=True))
    databases["default"].messages.insert_one({"_id": 3.0, "v": 1})
    with pytest.raises(TransferError, match=r"made anew there: 1 \(3\)"):
        transfer.rollback("t")
    assert databases["archive"].messages.count_documents({}) == 10


def test_what_changes_while_a_rollback_is_interrupted_stays(databases: Databases) -> None:
    databases.fill(40)
    transfer.run(plan(batch_size=5))

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.rollback("t", on_progress=when("roll back", interrupt, 10))
    changed = messages(1, 38)[0] | {"text": "precious"}
    target = databases["archive"].messages
    target.replace_one({"_id": changed["_id"]}, changed)
    with pytest.raises(TransferError, match=r"'messages' on 'archive' have changed .*: 1 \("):
        transfer.rollback("t")
    assert list(target.find()) == [changed]
    transfer.rollback("t", force=True)
    assert databases.state()["archive"] == {}


def test_what_a_move_skipped_and_then_changed_is_not_put_back_as_the_original(
    databases: Databases,
) -> None:
    databases.fill(40)
    same = messages(1, 7)[0]
    databases["archive"].messages.insert_one(same)
    transfer.run(plan(move=True, conflicts="skip"))
    assert databases["default"].messages.count_documents({}) == 0
    databases["archive"].messages.update_one({"_id": same["_id"]}, {"$set": {"text": "other"}})
    with pytest.raises(TransferError, match=rf": 1 \(.*{same['_id']}"):
        transfer.rollback("t")


def test_what_was_replaced_and_changed_since_stays(databases: Databases) -> None:
    databases.fill(40)
    mine = [{"_id": each["_id"], "mine": 1} for each in messages(3)]
    target = databases["archive"].messages
    target.insert_many(mine)
    transfer.run(plan(conflicts="replace"))
    target.update_one({"_id": mine[1]["_id"]}, {"$set": {"text": "precious"}})
    with pytest.raises(TransferError, match=r"'messages' on 'archive' have changed .*: 1 \("):
        transfer.rollback("t")
    assert target.count_documents({"text": "precious"}) == 1
    transfer.rollback("t", force=True)
    assert list(target.find().sort("_id")) == mine


def test_a_copy_whose_source_is_gone_is_taken_back_as_it_was_verified(
    databases: Databases,
) -> None:
    databases.fill(40)
    transfer.run(plan())
    databases["default"].messages.drop()
    transfer.rollback("t")
    assert databases.state()["archive"] == {}


def series(databases: Databases) -> Collection[Any]:
    databases["default"].create_collection("messages", timeseries={"timeField": "at"})
    databases["default"].messages.insert_many([{"at": DAY, "n": n} for n in range(20)])
    transfer.run(plan())
    target: Collection[Any] = databases["archive"].messages
    return target


@FORCE
def test_a_time_series_with_measurements_of_others_is_not_dropped(
    databases: Databases, force: bool
) -> None:
    target = series(databases)
    target.insert_one({"at": DAY, "n": "precious", "_id": ObjectId()})
    with pytest.raises(TransferError, match="holds 1 documents of others"):
        transfer.rollback("t", force=force)
    assert target.count_documents({}) == 21


@pytest.mark.parametrize("missing", ["marks", "ids_checksum", "lists_checksum"])
def test_ranges_of_an_earlier_version_are_taken_back(databases: Databases, missing: str) -> None:
    databases.fill(40)
    before = databases.state()
    transfer.run(plan(move=True))
    ranges = databases["archive"].datalayer_transfer_ranges
    ranges.update_many({}, {"$unset": {missing: True}})
    assert transfer.verify("t").state == "done"
    transfer.rollback("t")
    assert databases.state() == before
