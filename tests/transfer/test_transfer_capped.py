"""A capped collection keeps the order in which its documents were inserted."""

from __future__ import annotations

from typing import Any

import pytest
from moving import Databases, nonzero, plan, when

from datalayer import transfer
from datalayer.errors import TransferError

TARGETS = pytest.mark.parametrize("target", ["database1", "archive"])
IDS = [(number * 37) % 101 for number in range(100)]


def fill(databases: Databases, **options: Any) -> None:
    options = {"capped": True, "size": 2**20, **options}
    databases["default"].create_collection("messages", **options)
    databases["default"].messages.insert_many([{"_id": one, "n": one % 7} for one in IDS])


def in_order(databases: Databases, target: str) -> list[int]:
    return [each["_id"] for each in databases[target].messages.find().sort("$natural", 1)]


@TARGETS
@pytest.mark.parametrize("batch_size", [7, 5000])
def test_documents_keep_the_order_of_their_insertion(
    databases: Databases, target: str, batch_size: int
) -> None:
    fill(databases)
    report = transfer.run(plan(target=target, method=None, batch_size=batch_size))
    assert (report.state, report.method, nonzero(report)) == ("done", "copy", {})
    assert in_order(databases, target) == IDS
    assert databases[target].messages.options() == databases["default"].messages.options()
    transfer.rollback("t")
    assert databases.state()[target] == {}


def test_of_those_that_a_filter_selects_too(databases: Databases) -> None:
    fill(databases)
    transfer.run(plan(filter={"n": {"$lt": 3}}, batch_size=7))
    assert in_order(databases, "archive") == [one for one in IDS if one % 7 < 3]


@pytest.mark.parametrize("done", [0, 7, 50, 98])
def test_after_an_interruption_it_goes_on_in_that_order(databases: Databases, done: int) -> None:
    fill(databases)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run(plan(batch_size=7), on_progress=when("copy", interrupt, done))
    assert transfer.resume("t").state == "done"
    assert in_order(databases, "archive") == IDS


def test_the_last_documents_stay_where_there_is_no_room_for_all(databases: Databases) -> None:
    fill(databases, max=30)
    assert transfer.run(plan(batch_size=7)).state == "done"
    assert in_order(databases, "archive") == IDS[-30:]


def test_the_server_does_not_copy_it_by_itself(databases: Databases) -> None:
    fill(databases)
    with pytest.raises(TransferError, match="can only be copied by the method copy"):
        plan(target="database1", method="merge")


@pytest.mark.parametrize("conflicts", ["skip", "replace"])
def test_a_target_that_holds_documents_would_lose_them(
    databases: Databases, conflicts: Any
) -> None:
    fill(databases)
    databases["archive"].create_collection("messages", capped=True, size=2**20)
    databases["archive"].messages.insert_one({"_id": "precious"})
    with pytest.raises(TransferError, match="is capped and holds documents"):
        plan(conflicts=conflicts)
