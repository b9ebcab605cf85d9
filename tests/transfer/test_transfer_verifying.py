"""What verification finds, and what rollback takes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from moving import Databases, messages, nonzero, plan, raw, when

from datalayer import transfer
from datalayer.errors import ConfigurationError, TransferError
from datalayer.transfer.raw import read_ahead
from datalayer.transfer.raw.bson import OBJECT_ID_SIZE

TARGETS = pytest.mark.parametrize("target", ["database1", "archive"])


def change_one(collection: Any) -> None:
    collection.update_one({"number": 99}, {"$set": {"text": "new"}})


def delete_one(collection: Any) -> None:
    collection.delete_one({"number": 99})


def add_two(collection: Any) -> None:
    collection.insert_many(messages(2, 200))


CHANGES: dict[str, tuple[Callable[[Any], object], dict[str, int]]] = {
    "changed": (change_one, {"differing": 1}),
    "deleted": (delete_one, {"gone": 1}),
    "added": (add_two, {"new": 2}),
}


@TARGETS
@pytest.mark.parametrize("change", list(CHANGES))
def test_drift_after_the_run_is_found(databases: Databases, target: str, change: str) -> None:
    databases.fill(100)
    transfer.run(plan(target=target))
    act, expected = CHANGES[change]
    act(databases["default"].messages)
    report = transfer.verify("t")
    assert (report.state, nonzero(report)) == ("drifted", expected)


@TARGETS
@pytest.mark.parametrize("change", list(CHANGES))
def test_drift_during_the_run_is_found(databases: Databases, target: str, change: str) -> None:
    databases.fill(100)
    act, expected = CHANGES[change]
    # One range is on its way at that moment, so the last documents are not verified yet.
    drift = when("verify", lambda: act(databases["default"].messages))
    made = plan(target=target, batch_size=5)
    report = transfer.run(made, on_progress=drift)
    assert (report.state, nonzero(report)) == ("drifted", expected)


@pytest.mark.parametrize("change", ["lost", "changed"])
def test_what_happens_to_the_target_is_found(databases: Databases, change: str) -> None:
    databases.fill(100)
    transfer.run(plan())
    target = databases["archive"].messages
    if change == "lost":
        target.delete_one({"number": 3})
        expected = {"missing": 1}
    else:
        target.update_one({"number": 3}, {"$set": {"big": 3.0}})  # equal, but of another type
        expected = {"differing": 1}
    assert nonzero(transfer.verify("t")) == expected


@pytest.mark.parametrize("change", ["none", "lost", "changed"])
def test_what_does_not_fit_into_memory_is_compared_in_pieces(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    databases["default"].messages.insert_many(
        [{**each, "text": "x" * 1000} for each in messages(100)]
    )
    monkeypatch.setattr(read_ahead, "_MOST_COMPARED_BYTES", 10_000)
    made = plan(target="database1", method="merge", batch_size=50)
    assert read_ahead.compared_at_once(made.parts[0], made) < 10
    before = databases.state()
    transfer.run(made)
    journaled = databases["database1"].datalayer_transfer_ranges.find()
    assert [len(each["ids"]) for each in journaled] == [50 * OBJECT_ID_SIZE, 50 * OBJECT_ID_SIZE]
    if change == "lost":
        databases["database1"].messages.delete_one({"number": 3})
    elif change == "changed":
        databases["database1"].messages.update_one({"number": 3}, {"$set": {"text": "new"}})
    expected = {"none": {}, "lost": {"missing": 1}, "changed": {"differing": 1}}[change]
    report = transfer.verify("t")
    assert (nonzero(report), report.verified) == (expected, 100 - len(expected))
    if change == "changed":  # having looked at it doesn't make it the transfer's own
        with pytest.raises(TransferError, match=r"have changed .*: 1 \("):
            transfer.rollback("t")
    transfer.rollback("t", force=change == "changed")  # compares the digests of whole ranges
    assert databases.state() == before


def test_after_a_move_the_target_is_compared_with_the_digests(databases: Databases) -> None:
    databases.fill(100)
    transfer.run(plan(move=True))
    assert transfer.verify("t").state == "done"
    databases["archive"].messages.update_one({"number": 3}, {"$set": {"text": "new"}})
    report = transfer.verify("t")
    assert (report.state, report.differing) == ("drifted", 20)  # the whole range


def test_a_move_leaves_what_changes_before_it_is_deleted(databases: Databases) -> None:
    databases.fill(100)
    source = databases["default"].messages
    change = when("delete", lambda: change_one(source))
    report = transfer.run(plan(move=True), on_progress=change)
    assert (report.state, report.deleted, nonzero(report)) == ("drifted", 99, {"left": 1})
    assert source.distinct("text") == ["new"]


@TARGETS
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
@pytest.mark.parametrize("conflicts", ["fail", "skip", "replace"])
def test_rollback_restores_the_state_before(
    databases: Databases, target: str, move: bool, conflicts: Any
) -> None:
    databases.fill(100)
    databases["default"].messages.create_index("number", unique=True)
    if conflicts != "fail":
        databases[target].messages.insert_many(
            [{"_id": each["_id"], "number": -each["number"]} for each in messages(10, 20)]
        )
    before = databases.state()
    transfer.run(plan(target=target, move=move, conflicts=conflicts))
    assert databases.state() != before
    report = transfer.rollback("t")
    assert (report.state, databases.state(), databases.left_beside()) == (
        "rolled_back",
        before,
        [],
    )


@pytest.mark.parametrize("inverse", [None, "moving:whispered"])
def test_a_move_that_reshapes_is_taken_back(databases: Databases, inverse: str | None) -> None:
    databases.fill(100)
    before = databases.state()
    transfer.run(plan(move=True, transform="moving:shouted", inverse=inverse))
    kept = ["datalayer_transfer_sources.t.0"] if inverse is None else []
    assert databases.left_beside() == kept
    transfer.rollback("t")
    assert databases.state() == before


def test_rollback_leaves_what_others_have_written(databases: Databases) -> None:
    databases.fill(100)
    transfer.run(plan(filter={"number": {"$mod": [2, 0]}}))
    strangers = messages(1, 31)
    databases["archive"].messages.insert_many(strangers)
    transfer.rollback("t")
    assert databases["archive"].messages.distinct("number") == [31]


def test_rollback_refuses_to_lose_changes_unless_forced(databases: Databases) -> None:
    databases.fill(100)
    transfer.run(plan(move=True))
    databases["archive"].messages.update_one({"number": 3}, {"$set": {"text": "new"}})
    with pytest.raises(TransferError, match="have changed since they were verified"):
        transfer.rollback("t")
    assert raw(databases["default"].messages) == []
    transfer.rollback("t", force=True)
    assert databases["default"].messages.distinct("text", {"number": 3}) == ["new"]


def test_a_transfer_that_was_taken_back_is_not_resumed(databases: Databases) -> None:
    databases.fill(10)
    transfer.run(plan())
    transfer.rollback("t")
    with pytest.raises(TransferError, match="taken back"):
        transfer.resume("t")


def test_a_name_is_used_once(databases: Databases) -> None:
    databases.fill(10)
    transfer.run(plan())
    with pytest.raises(TransferError, match="there is a transfer 't' on 'archive' already"):
        transfer.run(plan(collections={"messages": "others"}))
    with pytest.raises(ConfigurationError, match="knows a transfer 'u'"):
        transfer.show("u")
    assert [each.name for each in transfer.transfers()] == ["t"]
