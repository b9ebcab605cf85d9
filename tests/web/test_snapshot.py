"""What the status page is made of: figures of the monitors, and what is under way in the
databases, gathered from real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest
from canaries import found_in
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from mongoengine import StringField
from observing import NO_OTHER_LIMIT
from waiting import wait_until

from datalayer import AnalyticsDocument, db, transfer
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import Bucket, CommandMonitor, Histogram, PoolMonitor
from datalayer.settings import Settings
from datalayer.transfer import Progress
from datalayer.web import Endpoints
from datalayer.web.snapshot import Snapshot, take_snapshot
from datalayer.web.transfers_and_outbox import Work

DEADLINE_SECONDS = 1.0


def seen(timeout_seconds: float = DEADLINE_SECONDS) -> Snapshot:
    return take_snapshot(db.status(timeout_seconds), timeout_seconds)


def counted(buckets: tuple[Bucket, ...]) -> int:
    return sum(bucket.count for bucket in buckets)


@pytest.fixture
def databases(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(), connected(settings_for(mongod)) as settings:
        yield settings


@pytest.fixture
def proxied(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    """The analytics database is behind a proxy."""
    with FaultyProxy(mongod.hosts[0]) as proxy, model_registry():
        uris = {
            "default": mongod.uri_for("test_snapshot_default"),
            "database1": {"uri": proxy.uri_for("test_snapshot_database1"), **NO_OTHER_LIMIT},
        }
        with connected(Settings(databases=uris)):
            yield proxy
            proxy.restore()


@contextmanager
def delayed(settings: Settings, *commands: str, milliseconds: int) -> Iterator[None]:
    """The server takes its time for ``commands``, from everybody."""
    admin = registry.connection("default").client.admin
    block = {
        "failCommands": list(commands),
        "blockConnection": True,
        "blockTimeMS": milliseconds,
    }
    admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": block})
    try:
        yield
    finally:
        admin.command({"configureFailPoint": "failCommand", "mode": "off"})


# Distributions


def test_a_histogram_hands_out_its_buckets_in_order() -> None:
    histogram = Histogram()
    histogram.record_all([1000, 5, 5, 1010])
    assert histogram.distribution() == (Bucket(0.005, 0.006, 2), Bucket(0.96, 1.024, 2))


def test_a_bucket_holds_what_it_says() -> None:
    for microseconds in (0, 1, 15, 16, 17, 999, 123_456, 5_000_000, 1 << 35):
        histogram = Histogram()
        histogram.record_all([microseconds])
        (bucket,) = histogram.distribution()
        assert bucket.from_ms <= microseconds / 1000 < bucket.to_ms


def test_old_durations_leave_the_distribution() -> None:
    now = [0.0]
    histogram = Histogram(lambda: now[0])
    histogram.record(0.5)
    now[0] = 601.0
    assert histogram.distribution() == ()


def test_the_monitors_hand_out_all_that_they_have_counted() -> None:
    commands, pool = CommandMonitor("default", 100, lambda *_: None), PoolMonitor(lambda *_: None)
    for _ in range(3):
        commands.begin("find", {"find": "user"}, 1)
        commands.succeed("find", {}, 1)
        pool.take(0.001)
    assert (counted(commands.latencies()), counted(pool.checkouts())) == (3, 3)


# Slow commands


class _Slow:
    """A monitor for which every command takes a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.monitor = CommandMonitor("default", 100, lambda *_: None, lambda: self.now)

    def run(self, command: dict[str, Any], *, seconds: float = 1.0, fails: bool = False) -> None:
        name = next(iter(command))
        self.monitor.begin(name, command, 7)
        self.now += seconds
        if fails:
            self.monitor.fail(name, {}, 7)
        else:
            self.monitor.succeed(name, {"n": 4}, 7)


def test_slow_commands_are_remembered_the_latest_first() -> None:
    slow = _Slow()
    slow.run({"delete": "user", "deletes": [{}, {}]})
    slow.run({"count": "advertisement"}, seconds=2.5)
    slow.run({"find": "user"}, seconds=0.1, fails=True)
    told = [
        (each.alias, each.command, each.collection, each.ms, each.documents)
        for each in slow.monitor.slow_commands()
    ]
    assert told == [
        ("default", "find", "user", 100.0, None),
        ("default", "count", "advertisement", 2500.0, 4),
        ("default", "delete", "user", 1000.0, 2),
    ]


def test_fast_commands_are_not_remembered() -> None:
    slow = _Slow()
    slow.run({"find": "user"}, seconds=0.099)
    assert slow.monitor.slow_commands() == ()


def test_only_the_last_twenty_slow_commands_are_remembered() -> None:
    slow = _Slow()
    for number in range(30):
        slow.run({"find": f"c{number}"})
    assert [each.collection for each in slow.monitor.slow_commands()] == [
        f"c{number}" for number in range(29, 9, -1)
    ]


def test_nothing_of_the_documents_is_remembered() -> None:
    slow = _Slow()
    slow.run({"insert": "user", "documents": [{"canary": "canary"}]})
    slow.run({"find": "user", "filter": {"canary": "canary"}}, fails=True)
    slow.run({"createUser": "canary", "pwd": "canary"})
    assert found_in(repr(slow.monitor.slow_commands())) is None


def test_a_forked_child_remembers_no_slow_command_of_its_parent() -> None:
    slow = _Slow()
    slow.run({"find": "user"})
    slow.monitor.reset()
    assert slow.monitor.slow_commands() == ()


# A snapshot of real servers


def test_before_connecting_there_is_nothing_to_see() -> None:
    snapshot = seen()
    assert {entry["state"] for entry in snapshot.databases.values()} == {"disconnected"}
    assert snapshot.work == {}
    assert snapshot.figures["default"].commands == ()


def test_traffic_is_seen_in_the_distributions(databases: Settings) -> None:
    things = registry.connection("default").database.things
    for number in range(50):
        things.insert_one({"_id": number})
    snapshot = seen()
    figures = snapshot.figures["default"]
    assert counted(figures.commands) >= snapshot.databases["default"]["commands"]["total"] >= 50
    assert counted(figures.checkouts) >= 50


def test_a_command_that_the_server_was_slow_about_is_seen(mongod: EmbeddedMongo) -> None:
    with model_registry(), connected(settings_for(mongod, slow_ms=200)) as settings:
        with delayed(settings, "find", milliseconds=400):
            registry.connection("default").database.things.find_one({"secret": "canary"})
        (slow, *others) = seen().figures["default"].slow_commands
    assert others == []
    assert (slow.command, slow.collection, slow.documents) == ("find", "things", 0)
    assert slow.ms >= 300  # the driver measures with a clock that isn't the server's


def test_a_snapshot_is_json_ready(databases: Settings) -> None:
    told = json.loads(json.dumps(seen().as_json()))
    assert set(told["work"]) == {"default", "database1"}
    assert set(told["figures"]["default"]["commands"][0]) == {"from_ms", "to_ms", "count"}
    assert told["recorder"]["lag_seconds"] >= 0


def test_a_killed_member_is_seen(replset: EmbeddedMongo) -> None:
    with model_registry(), connected(settings_for(replset)):
        replset.kill(next(at for at in range(3) if at != replset.primary))
        wait_until(lambda: db.status()["default"]["state"] == "degraded")
        entry = seen().databases["default"]
    assert sorted(member["type"] for member in entry["members"]) == [
        "RSPrimary",
        "RSSecondary",
        "Unknown",
    ]


def test_a_database_that_is_away_is_not_asked_what_is_under_way(proxied: FaultyProxy) -> None:
    proxied.hang()
    snapshot = seen(0.5)
    assert snapshot.databases["database1"]["state"] == "unavailable"
    assert set(snapshot.work) == {"default"}


def test_a_database_that_hangs_does_not_delay_the_page_beyond_its_deadline(
    proxied: FaultyProxy,
) -> None:
    proxied.hang()
    endpoints = Endpoints(timeout_seconds=1.0)
    assert endpoints.status_page(authorised=True).status == 200


def test_a_journal_that_does_not_answer_in_time_is_said_to_be_unknown(databases: Settings) -> None:
    with delayed(databases, "aggregate", milliseconds=3_000):
        snapshot = seen(1.0)
    assert [work.transfers for work in snapshot.work.values()] == [(), ()]
    assert all(work.error for work in snapshot.work.values())
    assert all(entry["connected"] for entry in snapshot.databases.values())


def test_an_entry_of_the_journal_that_makes_no_sense_is_shown_as_damaged(
    databases: Settings,
) -> None:
    foreign = registry.connection("default").database.datalayer_transfers
    foreign.insert_one({"_id": "nightly", "state": "canary", "source": "canary"})
    snapshot = seen()
    work = snapshot.work["default"]
    assert [(each.name, each.state) for each in work.transfers] == [("nightly", "damaged")]
    assert "canary" not in repr(work)
    assert work.error is None
    assert snapshot.work["database1"] == Work()


def test_a_journal_that_cannot_be_read_is_said_to_be_unreadable(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> NoReturn:
        raise KeyError("canary")

    monkeypatch.setattr("datalayer.web.transfers_and_outbox.unfinished", fails)
    assert seen().work["default"] == Work(error="it could not be read (KeyError)")


def test_mongomock_takes_part_in_nothing() -> None:
    settings = Settings(databases={"default": "mongomock://snapshot"})
    with model_registry(), db.connected(settings):
        assert seen().work == {"default": Work()}


# Transfers and the outbox


def filled(count: int = 100) -> None:
    things = registry.connection("default").database.things
    things.insert_many([{"_id": number} for number in range(count)])


def planned() -> transfer.Plan:
    return transfer.plan(
        "nightly", source="default", target="database1", collections=["things"], batch_size=10
    )


class _Interrupted(Exception):
    pass


def test_a_running_transfer_is_seen_with_its_runner_and_about_how_far_it_is(
    databases: Settings,
) -> None:
    filled()
    snapshots: list[Snapshot] = []

    def look(progress: Progress) -> None:
        if not snapshots:
            snapshots.append(seen())

    transfer.run(planned(), on_progress=look)
    (found,) = snapshots[0].work["database1"].transfers
    assert (found.name, found.state, found.source, found.target, found.planned) == (
        "nightly",
        "running",
        "default",
        "database1",
        100,
    )
    assert 0 <= found.begun <= 100
    assert found.holder is not None
    assert found.seconds_left > 0
    assert snapshots[0].work["default"].transfers == ()


def test_an_interrupted_transfer_is_seen_without_a_runner(databases: Settings) -> None:
    filled()

    def interrupt(progress: Progress) -> None:
        if progress.done >= 50:
            raise _Interrupted

    with pytest.raises(_Interrupted):
        transfer.run(planned(), on_progress=interrupt)
    (found,) = seen().work["database1"].transfers
    assert (found.state, found.holder, found.seconds_left) == ("running", None, 0)
    assert 50 <= found.begun <= 100


def test_a_finished_transfer_is_not_under_way(databases: Settings) -> None:
    filled()
    transfer.run(planned())
    assert seen().work["database1"] == Work()


def test_what_waits_in_the_outbox_is_seen(databases: Settings) -> None:
    class Told(AnalyticsDocument):
        name = StringField()

    db.outbox.add(Told(name="canary"), key="one")
    snapshot = seen()
    waiting = snapshot.work["default"]
    assert (waiting.outbox_entries, waiting.outbox_delivered_here) == (1, False)
    assert waiting.outbox_oldest_seconds is not None
    assert snapshot.work["database1"].outbox_entries == 0
    assert found_in(json.dumps(snapshot.as_json())) is None
