"""An entry of the journal that is not as it was made does nothing, and stands in nobody's way."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from bson import MaxKey
from moving import Databases, messages, plan

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.errors import TransferError
from datalayer.transfer import Plan
from datalayer.web.transfers_and_outbox import work_in

VERBS: dict[str, Any] = {
    "find": transfer.find,
    "resume": transfer.resume,
    "verify": transfer.verify,
    "cut over": transfer.cut_over,
    "rollback": transfer.rollback,
    "forced rollback": lambda name: transfer.rollback(name, force=True),
}


def altered(databases: Databases, change: dict[str, Any], name: str = "t") -> None:
    databases["archive"].datalayer_transfers.update_one({"_id": name}, change)


def with_plan(stored: Any, **changes: Any) -> dict[str, Any]:
    """A plan with other values, and the checksum that belongs to it."""
    text = json.dumps(json.loads(stored["plan"]) | changes)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return {"$set": {"plan": text, "checksum": checksum}}


def retarget(stored: Any) -> dict[str, Any]:
    return {"$set": {"plan": stored["plan"].replace("messages", "precious")}}


DAMAGES: dict[str, Any] = {
    "another target": retarget,
    "no plan at all": lambda _: {"$set": {"plan": '{"x":1}'}},
    "a plan of nothing, with its checksum": lambda stored: with_plan(stored, parts=None),
    "a plan of a later version": lambda stored: with_plan(stored, backwards=True),
    "the plan of another transfer": lambda stored: with_plan(stored, name="u"),
    "a plan that is no text": lambda _: {"$set": {"plan": 7}},
    "no plan": lambda _: {"$unset": {"plan": True}},
    "no checksum": lambda _: {"$unset": {"checksum": True}},
    "an unknown state": lambda _: {"$set": {"state": "elsewhere"}},
    "a state that is no text": lambda _: {"$set": {"state": ["done"]}},
    "no progress": lambda _: {"$set": {"progress": None}},
    "progress of another shape": lambda _: {"$set": {"progress.0": {"created": "yes"}}},
    "indexes that it never built": lambda _: {"$set": {"progress.0.indexes": ["precious_1"]}},
    "a lease that never ends": lambda _: {"$set": {"until": MaxKey()}},
    "a lease that is a text": lambda _: {"$set": {"until": "tomorrow"}},
    "a token that is a text": lambda _: {"$set": {"token": "1"}},
    "no times": lambda _: {"$unset": {"created_at": True, "updated_at": True}},
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_entry_is_told_and_does_nothing(databases: Databases, damage: str) -> None:
    databases.fill(20)
    databases["archive"].precious.insert_many(messages(20))
    databases["archive"].precious.create_index("number", name="precious_1")
    transfer.run(plan("u", collections={"messages": "others"}))
    transfer.run(plan())
    stored = databases["archive"].datalayer_transfers.find_one({"_id": "t"})
    altered(databases, DAMAGES[damage](stored))
    before = databases.state()

    states = {each.name: each.state for each in transfer.transfers()}
    assert states == {"t": "damaged", "u": "done"}
    shown = transfer.show("t")
    assert (shown.complete, shown.problem is not None, shown.target) == (False, True, "archive")
    assert json.loads(json.dumps(shown.as_dict()))["state"] == "damaged"
    for verb in VERBS.values():
        with pytest.raises(TransferError, match=r"'t' on 'archive' is damaged: .*backup"):
            verb("t")
    assert databases.state() == before
    assert transfer.verify("u").state == "done"
    transfer.rollback("u")


def test_something_else_in_the_journal_is_damaged_too(databases: Databases) -> None:
    databases.fill(20)
    transfer.run(plan())
    databases["archive"].datalayer_transfers.insert_many([{"_id": 5}, {"_id": "x", "plan": None}])
    assert sorted(each.name for each in transfer.transfers()) == ["5", "t", "x"]
    assert [transfer.show(name).state for name in ("5", "x")] == ["damaged", "damaged"]
    assert transfer.rollback("t").state == "rolled_back"


def test_a_damaged_entry_counts_once_where_two_aliases_are_one_database(
    databases: Databases,
) -> None:
    databases.fill(20)
    transfer.run(plan(target="database1", name="t"))
    altered_in = databases["database1"].datalayer_transfers
    altered_in.update_one({"_id": "t"}, {"$set": {"checksum": "0"}})
    assert [each.target for each in transfer.transfers()] == ["database1"]


def test_the_status_page_shows_a_damaged_entry(databases: Databases) -> None:
    databases.fill(20)
    transfer.run(plan())
    altered(databases, {"$set": {"state": "running", "plan": "{}"}})
    found = work_in(registry.aliases(), 20)["archive"]
    assert (found.error, [(each.name, each.state) for each in found.transfers]) == (
        None, [("t", "damaged")],
    )  # fmt: skip


RANGE_DAMAGES: dict[str, dict[str, Any]] = {
    "more ids": {"$set": {"ids": [each["_id"] for each in messages(60)]}},
    "no ids": {"$unset": {"ids": True}},
    "ids of another type": {"$set": {"ids": "all"}},
    "nothing skipped": {"$set": {"skipped": []}},
    "nothing said of what was skipped": {"$unset": {"skipped": True}},
    "an unknown state": {"$set": {"state": "elsewhere"}},
    "a digest of another type": {"$set": {"digest": 5}},
    "counts of another type": {"$set": {"count": "many"}},
}


@pytest.mark.parametrize("force", [False, True], ids=["", "forced"])
@pytest.mark.parametrize("damage", list(RANGE_DAMAGES))
def test_an_altered_range_takes_nothing_away(
    databases: Databases, damage: str, force: bool
) -> None:
    databases.fill(20)
    databases["archive"].messages.insert_many([each | {"mine": 1} for each in messages(60, 10)])
    transfer.run(plan("u", collections={"messages": "others"}))
    transfer.run(plan(conflicts="skip"))
    ranges = databases["archive"].datalayer_transfer_ranges
    ranges.update_one({"_id": {"$regex": "^t/"}}, RANGE_DAMAGES[damage])
    before = databases.state()
    with pytest.raises(TransferError, match="is not as the transfer 't' has entered it"):
        transfer.rollback("t", force=force)
    assert databases.state() == before
    assert {each.name for each in transfer.transfers()} == {"t", "u"}
    transfer.rollback("u")


def test_a_plan_says_nothing_that_is_not_known(databases: Databases) -> None:
    databases.fill(1)
    text = plan().to_json()
    later = json.dumps({**json.loads(text), "backwards": True})
    with pytest.raises(ValueError, match="a later version's"):
        Plan.from_json(later)
