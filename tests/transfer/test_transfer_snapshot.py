"""A copy from a snapshot is the source as it was at one point in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moving import Databases, messages, nonzero, plan, raw, when
from pymongo.collection import Collection
from waiting import wait_until

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.errors import TransferError

TARGETS = pytest.mark.parametrize("target", ["database1", "archive"])


def change_much(collection: Collection[Any]) -> None:
    """Behind the first range and before the last: a copy without a snapshot sees some of it."""
    collection.update_many({}, {"$set": {"text": "later"}})
    collection.delete_many({"number": {"$gte": 90}})
    collection.insert_many(messages(10, 500))


@TARGETS
def test_it_holds_nothing_that_was_written_since_the_run_began(
    databases: Databases, target: str
) -> None:
    databases.fill(100)
    before = raw(databases["default"].messages)
    change = when("copy", lambda: change_much(databases["default"].messages), 20)
    report = transfer.run(plan(target=target, batch_size=5, snapshot=True), on_progress=change)
    assert (report.state, nonzero(report), report.verified) == ("done", {}, 100)
    assert raw(databases[target].messages) == before


@TARGETS
def test_without_a_snapshot_it_would(databases: Databases, target: str) -> None:
    databases.fill(100)
    change = when("copy", lambda: change_much(databases["default"].messages), 20)
    report = transfer.run(plan(target=target, batch_size=5), on_progress=change)
    assert report.state == "drifted"


def test_it_goes_on_at_the_same_point_in_time_after_an_interruption(databases: Databases) -> None:
    databases.fill(100)
    before = raw(databases["default"].messages)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run(plan(batch_size=5, snapshot=True), on_progress=when("copy", interrupt))
    change_much(databases["default"].messages)
    assert transfer.resume("t").state == "done"
    assert raw(databases["archive"].messages) == before


def test_verifying_later_compares_with_the_present(databases: Databases) -> None:
    databases.fill(100)
    transfer.run(plan(snapshot=True))
    change_much(databases["default"].messages)
    assert nonzero(transfer.verify("t")) == {"differing": 90, "gone": 10, "new": 10}


def test_a_move_leaves_what_has_changed_since(databases: Databases) -> None:
    databases.fill(100)
    source = databases["default"].messages
    change = when("verify", lambda: source.update_one({"number": 7}, {"$set": {"text": "new"}}))
    report = transfer.run(plan(move=True, snapshot=True), on_progress=change)
    assert (report.state, nonzero(report), report.deleted) == ("drifted", {"left": 1}, 99)
    assert source.distinct("text") == ["new"]


@pytest.fixture
def short_past(databases: Databases) -> Iterator[None]:
    """The source's server forgets what is older than a second."""
    admin = registry.connection("default").client.admin
    setting = "minSnapshotHistoryWindowInSeconds"
    before = admin.command("getParameter", 1, **{setting: 1})[setting]
    admin.command("setParameter", 1, **{setting: 1})
    yield
    admin.command("setParameter", 1, **{setting: before})


def let_the_past_be_forgotten(databases: Databases) -> None:
    """Write until the server no longer answers for the time before."""
    default = registry.connection("default")
    began = default.client.admin.command("ping")["operationTime"]
    query = {"find": "messages", "readConcern": {"level": "snapshot", "atClusterTime": began}}

    def is_forgotten() -> bool:
        databases["default"].ticks.insert_one({})
        return bool(default.database.command(query, check=False).get("code") == 239)

    wait_until(is_forgotten)


@pytest.mark.usefixtures("short_past")
def test_a_point_in_time_that_the_server_has_forgotten_is_told(databases: Databases) -> None:
    databases.fill(100)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run(plan(batch_size=5, snapshot=True), on_progress=when("copy", interrupt))
    let_the_past_be_forgotten(databases)
    with pytest.raises(TransferError, match="minSnapshotHistoryWindowInSeconds"):
        transfer.resume("t")
    transfer.rollback("t")
    assert raw(databases["archive"].messages) == []


@pytest.mark.usefixtures("short_past")
def test_what_is_copied_is_compared_with_the_present_once_the_past_is_forgotten(
    databases: Databases,
) -> None:
    databases.fill(100)
    forget = when("verify", lambda: let_the_past_be_forgotten(databases))
    made = plan(batch_size=5, snapshot=True)
    with pytest.raises(TransferError, match="minSnapshotHistoryWindowInSeconds"):
        transfer.run(made, on_progress=forget)
    assert transfer.resume("t").state == "done"


def test_a_capped_collection_has_no_past(databases: Databases) -> None:
    databases["default"].create_collection("messages", capped=True, size=10_000)
    with pytest.raises(TransferError, match="keeps no past of 'messages', a capped collection"):
        plan(snapshot=True)
