"""A document that can't be stored is named, with its collection, and the transfer goes on once
that is corrected."""

from __future__ import annotations

from typing import Any

import pytest
import refusals
from moving import Databases, nonzero, plan

from datalayer import transfer
from datalayer.errors import TransferError

UNFIT = {
    "enlarged": r"gave 16,777,\d+ bytes, and the server takes 16,777,216",
    "nested": "nested more deeply than the server takes",
    "nested_beyond_all": "nested more deeply than the server takes",
    # From Python 3.13 on, the driver's part in C goes deeper than the server does.
    "nested_without_end": r"failed \(RecursionError\)|nested more deeply than the server takes",
    "with_another_id": "changed an _id",
    "with_an_id_of_another_type": "changed an _id",
    "without_an_id": "changed an _id",
    "of_no_type": r"failed \(InvalidDocument\)",
    "too_great": r"failed \(OverflowError\)",
    "failing": r"failed \(KeyError\)",
    "silent": "gave NoneType",
}


@pytest.mark.parametrize("what", list(UNFIT))
def test_a_document_that_a_transform_made_unfit_is_named(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    databases["default"].messages.insert_many([{"_id": n, "n": n} for n in range(30)])
    monkeypatch.setattr(refusals, "chosen", getattr(refusals, what))
    made = plan(transform="refusals:at_seven", batch_size=5)
    with pytest.raises(TransferError) as caught:
        transfer.run(made)
    told = str(caught.value)
    assert ("'messages' on 'default'" in told, " 7 " in told) == (True, True), told
    caught.match(UNFIT[what])
    monkeypatch.setattr(refusals, "chosen", dict)
    report = transfer.resume("t")
    assert (report.state, report.verified, nonzero(report)) == ("done", 30, {})
    transfer.rollback("t")
    assert databases.state()["archive"] == {}


def test_the_largest_document_is_fit(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases["default"].messages.insert_one({"_id": 7, "n": 7})
    monkeypatch.setattr(refusals, "chosen", refusals.as_large_as_can_be)
    assert transfer.run(plan(transform="refusals:at_seven")).state == "done"


def test_a_document_that_the_validator_of_the_target_refuses_is_named(
    databases: Databases,
) -> None:
    databases.fill(30)
    databases["archive"].create_collection("messages", validator={"number": {"$ne": 7}})
    identifier = databases["default"].messages.find_one({"number": 7})["_id"]
    with pytest.raises(TransferError, match=rf"{identifier}.* does not pass the validator"):
        transfer.run(plan(carry_options=False))
    databases["archive"].command("collMod", "messages", validator={})
    assert transfer.resume("t").verified == 30


@pytest.mark.parametrize("what", ["enlarged", "nested", "failing"])
def test_a_change_that_is_unfit_stops_following_by_name(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    databases["default"].messages.insert_many([{"_id": n, "n": n} for n in range(5)])
    monkeypatch.setattr(refusals, "chosen", getattr(refusals, what))
    written: list[Any] = []

    def write(progress: transfer.Progress) -> None:
        if progress.phase == "follow" and not written:
            written.append(databases["default"].messages.insert_one({"_id": 7, "n": 7}))

    made = plan(follow=True, transform="refusals:at_seven")
    with pytest.raises(TransferError, match=r"document 7 of 'messages' on 'default'"):
        transfer.run(made, on_progress=write)
    monkeypatch.setattr(refusals, "chosen", dict)
    assert transfer.cut_over("t").verified == 6


def test_a_transform_may_put_the_id_last(databases: Databases) -> None:
    databases["default"].messages.insert_many([{"_id": n, "n": n} for n in range(5)])
    report = transfer.run(plan(transform="refusals:turned_round"))
    assert (report.state, report.verified) == ("done", 5)
