"""A followed transfer carries changes over until the cut-over: then both sides are the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moving import Databases, messages, nonzero, plan, raw, when
from pymongo.errors import DuplicateKeyError
from waiting import wait_until

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.errors import ConfigurationError, TransferError
from datalayer.transfer import Plan, Progress, Report

TARGETS = pytest.mark.parametrize("target", ["database1", "archive"])


class Following:
    """A followed transfer that runs in a thread."""

    def __init__(self, made: Plan, told: Callable[[Progress], None] | None = None) -> None:
        self.plan = made
        self.outcome: Report | BaseException | None = None
        self.followed = threading.Event()
        self._told = told
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.outcome = transfer.run(self.plan, on_progress=self._tell)
        except BaseException as exc:
            self.outcome = exc

    def _tell(self, progress: Progress) -> None:
        if progress.phase == "follow":
            self.followed.set()
        if self._told is not None:
            self._told(progress)

    @contextmanager
    def running(self) -> Iterator[Following]:
        """Until it has caught up; ended after the block."""
        self._thread.start()
        try:
            assert self.followed.wait(60)
            yield self
        finally:
            if self._thread.is_alive():
                transfer.cut_over(self.plan.name)
            self._thread.join(60)


@contextmanager
def following(
    told: Callable[[Progress], None] | None = None, **options: Any
) -> Iterator[Following]:
    with Following(plan(follow=True, **options), told).running() as found:
        yield found


def change_much(databases: Databases) -> None:
    source = databases["default"].messages
    source.update_many({"number": {"$lt": 30}}, {"$set": {"text": "later"}})
    source.delete_many({"number": {"$gte": 90}})
    source.insert_many(messages(45, 500))


def same(databases: Databases, target: str) -> bool:
    return raw(databases["default"].messages) == raw(databases[target].messages)


@TARGETS
def test_changes_arrive_while_it_follows(databases: Databases, target: str) -> None:
    databases.fill(100)
    with following(target=target):
        change_much(databases)
        wait_until(lambda: same(databases, target))
        databases["default"].messages.delete_one({"number": 501})
        wait_until(lambda: same(databases, target))
        assert transfer.show("t").state == "following"


@TARGETS
@pytest.mark.parametrize("phase", ["copy", "verify", "follow"])
def test_after_the_cut_over_both_sides_are_the_same(
    databases: Databases, target: str, phase: str
) -> None:
    databases.fill(100)
    databases["default"].messages.create_index("number", unique=True)
    change = when(phase, lambda: change_much(databases))
    with following(change, target=target, batch_size=5):
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report), report.verified) == ("done", {}, 135)
    assert same(databases, target)
    assert "number_1" in databases[target].messages.index_information()
    assert transfer.verify("t").state == "done"


def test_changes_of_busy_writers_are_all_there_after_the_cut_over(databases: Databases) -> None:
    databases.fill(200)
    source = databases["default"].messages
    stopped = threading.Event()

    def write(start: int) -> None:
        number = start
        while not stopped.is_set():
            number += 1
            source.insert_one(messages(1, number)[0])
            source.update_one({"number": number % 200}, {"$inc": {"big": 1}})
            source.delete_one({"number": number - 7})

    writers = [threading.Thread(target=write, args=(start * 10_000,)) for start in range(1, 4)]
    for writer in writers:
        writer.start()
    with following(batch_size=25):
        wait_until(lambda: transfer.show("t").followed > 500)
        stopped.set()
        for writer in writers:
            writer.join()
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report)) == ("done", {})
    assert same(databases, "archive")


def test_what_is_written_after_the_cut_over_is_found_and_can_be_followed(
    databases: Databases,
) -> None:
    databases.fill(100)
    source = databases["default"].messages
    late = threading.Event()

    def told(progress: Progress) -> None:
        if late.is_set() and progress.phase == "verify":
            late.clear()
            source.insert_many(messages(3, 700))

    with following(told, move=True) as found:
        source.update_one({"number": 1}, {"$set": {"text": "new"}})
        late.set()
        report = transfer.cut_over("t")
        assert (report.state, nonzero(report), report.deleted) == ("drifted", {"new": 3}, 0)
    assert isinstance(found.outcome, Report)
    again = threading.Thread(target=transfer.resume, args=("t",))
    again.start()
    wait_until(lambda: databases["archive"].messages.count_documents({}) == 103)
    report = transfer.cut_over("t")
    again.join(60)
    assert (report.state, report.deleted) == ("done", 103)


@TARGETS
def test_a_move_deletes_after_the_cut_over(databases: Databases, target: str) -> None:
    databases.fill(100)
    with following(target=target, move=True, batch_size=20):
        change_much(databases)
        wanted = raw(databases["default"].messages)
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report)) == ("done", {})
    assert raw(databases["default"].messages) == []
    assert raw(databases[target].messages) == wanted
    assert transfer.resume("t").state == "done"
    assert raw(databases[target].messages) == wanted


def test_what_a_move_has_deleted_is_not_followed_however_often_it_is_resumed(
    databases: Databases,
) -> None:
    databases.fill(100)
    source = databases["default"].messages
    late = when("delete", lambda: source.update_one({"number": 99}, {"$set": {"text": "new"}}))
    with following(late, move=True):
        report = transfer.cut_over("t")
    assert (report.state, report.deleted, nonzero(report)) == ("drifted", 99, {"left": 1})
    for again in (transfer.resume, transfer.cut_over, transfer.resume):
        assert again("t").state == "drifted"
        assert databases["archive"].messages.count_documents({}) == 100


@pytest.mark.parametrize("conflicts", ["fail", "skip", "replace"])
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
def test_rollback_takes_back_what_was_carried_over(
    databases: Databases, conflicts: Any, move: bool
) -> None:
    databases.fill(100)
    if conflicts != "fail":  # some for the copy to meet, and some for the changes
        databases["archive"].messages.insert_many(
            [{"_id": each["_id"], "mine": 1} for each in [*messages(9, 85), *messages(5, 510)]]
        )
    before = databases.state()
    with following(conflicts=conflicts, move=move, batch_size=20):
        change_much(databases)
        wanted = databases.state()["default"]
        report = transfer.cut_over("t")
    expected = {"skip": 10, "replace": 0, "fail": 0}[conflicts]
    assert report.skipped - expected in (0, 4)  # 86 to 89 stay, and 90 to 93 are deleted
    transfer.rollback("t")
    assert databases.state()["archive"] == before["archive"]
    if conflicts != "skip":
        assert databases.state()["default"] == wanted
    assert databases.left_beside() == []


def test_documents_enter_and_leave_the_filter(databases: Databases) -> None:
    databases.fill(100)
    source = databases["default"].messages
    with following(filter={"text": {"$ne": "hidden"}}):
        source.update_many({"number": {"$lt": 10}}, {"$set": {"text": "hidden"}})
        source.insert_one({"_id": 1, "text": "hidden"})
        source.insert_one({"_id": 2, "text": "shown"})
        source.update_one({"number": 0}, {"$set": {"text": "shown again"}})
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report), report.verified) == ("done", {}, 92)
    found = databases["archive"].messages.distinct("text")
    assert ("hidden" in found, "shown" in found, "shown again" in found) == (False, True, True)


def test_changes_are_given_the_form_of_the_target(databases: Databases) -> None:
    databases.fill(10)
    with following(transform="moving:shouted", fields={"body": None}):
        databases["default"].messages.update_one({"number": 3}, {"$set": {"text": "so loud"}})
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report)) == ("done", {})
    assert "SO LOUD" in databases["archive"].messages.distinct("text")


def test_documents_may_exchange_a_unique_value(databases: Databases) -> None:
    databases.fill(50)
    source = databases["default"].messages
    source.create_index("number", unique=True)
    with following():
        source.update_one({"number": 1}, {"$set": {"number": -1}})
        source.update_one({"number": 2}, {"$set": {"number": 1}})
        source.update_one({"number": -1}, {"$set": {"number": 2}})
        source.update_one({"number": 3}, {"$set": {"number": -3}})
        source.insert_one({**messages(1, 3000)[0], "number": 3})
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report)) == ("done", {})
    assert same(databases, "archive")
    with pytest.raises(DuplicateKeyError):
        databases["archive"].messages.insert_one({"number": 1})


def test_a_unique_value_that_moves_during_the_copy_is_no_obstacle(databases: Databases) -> None:
    databases.fill(100)
    source = databases["default"].messages
    source.create_index("number", unique=True)

    def hand_over() -> None:
        """From a document that is copied already to one that is not yet."""
        source.update_one({"number": 0}, {"$set": {"number": -1}})
        source.update_one({"number": 99}, {"$set": {"number": 0}})

    with following(when("copy", hand_over, 20), batch_size=5):
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report)) == ("done", {})
    assert same(databases, "archive")


def test_a_document_of_somebody_else_in_the_target_stops_it(databases: Databases) -> None:
    databases.fill(20)
    mine = {"_id": messages(1, 500)[0]["_id"], "mine": True}
    with following() as found:
        databases["archive"].messages.insert_one(mine)
        databases["default"].messages.insert_many(messages(1, 500))
        wait_until(lambda: found.outcome is not None)
    assert "from somebody else during the transfer" in str(found.outcome)
    assert databases["archive"].messages.find_one({"_id": mine["_id"]}) == mine
    transfer.rollback("t")
    assert list(databases["archive"].messages.find()) == [mine]


def test_several_collections_are_followed_together(databases: Databases) -> None:
    databases.fill(20)
    databases.fill(20, "letters")
    with following(collections={"messages": "messages", "letters": "post"}):
        databases["default"].letters.delete_one({"number": 3})
        databases["default"].messages.insert_many(messages(2, 50))
        databases["default"].neither.insert_one({})
        report = transfer.cut_over("t")
    assert (report.state, nonzero(report), report.verified) == ("done", {}, 41)
    assert raw(databases["archive"].post) == raw(databases["default"].letters)


def test_where_nobody_is_at_work_the_cut_over_is_done_at_once(databases: Databases) -> None:
    databases.fill(100)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.run(plan(follow=True), on_progress=when("follow", interrupt))
    change_much(databases)
    report = transfer.cut_over("t")
    assert (report.state, nonzero(report), report.verified) == ("done", {}, 135)
    assert transfer.cut_over("t").state == "done"


def test_the_cut_over_waits_no_longer_than_it_may(databases: Databases) -> None:
    databases.fill(20)
    goes_on = threading.Event()

    def told(progress: Progress) -> None:
        if progress.phase == "follow":
            goes_on.wait(60)

    with following(told):
        with pytest.raises(TransferError, match=r"has not finished the cut-over of 't' in 0.3 s"):
            transfer.cut_over("t", wait_seconds=0.3)
        goes_on.set()
    assert transfer.show("t").state == "done"


@pytest.mark.parametrize("act", ["drop", "rename"])
def test_a_collection_that_goes_as_a_whole_stops_it(databases: Databases, act: str) -> None:
    databases.fill(20)
    with following() as found:
        if act == "drop":
            databases["default"].messages.drop()
        else:
            databases["default"].messages.rename("letters")
        wait_until(lambda: found.outcome is not None)
    assert f"was changed as a whole ({act}), which can't be followed" in str(found.outcome)
    assert databases["archive"].messages.count_documents({}) == 20


def test_changes_that_the_oplog_no_longer_holds_stop_it(databases: Databases) -> None:
    databases.fill(20)
    admin = registry.connection("default").client.admin
    lost = {"failCommands": ["getMore"], "errorCode": 286, "namespace": "test_transfer_default"}

    def lose() -> None:
        lost["namespace"] = f"{databases['default'].name}.$cmd.aggregate"
        admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=lost)

    try:
        with pytest.raises(TransferError, match="oplog of the source no longer reaches back"):
            transfer.run(plan(follow=True), on_progress=when("follow", lose))
    finally:
        admin.command("configureFailPoint", "failCommand", mode="off")


def test_time_series_and_capped_collections_are_refused(databases: Databases) -> None:
    default = databases["default"]
    default.create_collection("metrics", timeseries={"timeField": "at"})
    default.create_collection("ring", capped=True, size=10_000)
    for name in ("metrics", "ring"):
        with pytest.raises(TransferError, match=f"'{name}', a capped or time-series collection"):
            plan(collections=[name], follow=True)


def test_a_collection_that_is_written_to_as_well_is_refused(databases: Databases) -> None:
    databases.fill(1)
    databases.fill(1, "letters")
    with pytest.raises(ConfigurationError, match="that is written to can't be followed"):
        plan(
            target="default",
            collections={"messages": "letters", "letters": "post"},
            conflicts="skip",
            follow=True,
        )


def test_only_a_followed_transfer_has_a_cut_over(databases: Databases) -> None:
    databases.fill(1)
    transfer.run(plan())
    with pytest.raises(ConfigurationError, match="doesn't follow changes"):
        transfer.cut_over("t")
