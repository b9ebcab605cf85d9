"""What datalayer counts by itself at the connections is what the driver tells its listeners."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pymongo
import pytest
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from faulty_proxy import FaultyProxy
from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne, WriteConcern, monitoring
from pymongo.collection import Collection
from pymongo.cursor import CursorType
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from datalayer import Settings
from datalayer.connections import counting
from datalayer.connections.client import open_client
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import Monitors
from datalayer.monitoring.pool import SilentPoolListener

Deed = Callable[[Collection[Any]], object]


@dataclass
class Told:
    """An observer of datalayer's: each command with its error, and how often what happened."""

    commands: list[tuple[str, str | None]] = field(default_factory=list)
    waited_for: int = 0
    given_back: int = 0
    set_up: int = 0

    def command(self, name: str, microseconds: int, error: str | None) -> None:
        assert microseconds >= 0
        self.commands.append((name, error))

    def waited(self, seconds: float) -> None:
        assert seconds >= 0
        self.waited_for += 1

    def used(self, seconds: float) -> None:
        assert seconds >= 0
        self.given_back += 1

    def created(self, seconds: float) -> None:
        self.set_up += 1


class Heard(monitoring.CommandListener, SilentPoolListener):
    """A listener of the driver's, which writes down the same."""

    def __init__(self) -> None:
        self.told = Told()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self.told.command(event.command_name, 0, None)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        failure = event.failure
        error = failure.get("code", failure.get("errtype"))
        self.told.command(event.command_name, 0, str(error))

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        self.told.waited(0)

    def connection_checked_in(self, event: monitoring.ConnectionCheckedInEvent) -> None:
        self.told.used(0)

    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None:
        self.told.created(0)


def slow_facts(emitted: list[tuple[str, Mapping[str, Any]]]) -> list[tuple[Any, ...]]:
    return [
        (facts["command"], facts["collection"], facts["documents"])
        for name, facts in emitted
        if name == "slow_command"
    ]


@dataclass
class Counted:
    """What came of a deed with one client."""

    commands: list[tuple[str, str | None]]
    check_outs: tuple[int, int]
    failures: list[tuple[str, str, int]]
    traffic: tuple[int, int]
    totals: tuple[int, int]
    pool: dict[str, Any]
    slow: list[tuple[Any, ...]]


@contextmanager
def client_for(
    uri: str, monitors: Monitors, *others: Any, **options: Any
) -> Iterator[MongoClient[Any]]:
    settings = Settings(databases={"default": {"uri": uri, "min_pool_size": 0, **options}})
    original = Monitors.listeners
    with patch.object(Monitors, "listeners", lambda self: [*original(self), *others]):
        client = open_client(settings["default"], settings["default"].uri, monitors)
    with client:
        yield client


def counted(uri: str, deed: Deed, *others: Any, database: str) -> Counted:
    emitted: list[tuple[str, Mapping[str, Any]]] = []
    monitors = Monitors("default", 0, lambda name, facts: emitted.append((name, facts)))
    told = Told()
    with client_for(uri, monitors, *others) as client:
        client.drop_database(database)
        client[database].things.insert_many([{"_id": n, "text": "a"} for n in range(5)])
        for other in others:
            other.told = Told()
        monitors.reset()
        emitted.clear()
        monitors.observe(told)
        with suppress(PyMongoError, BSONError):
            deed(client[database].things)
        client.admin.command("ping")
        totals = monitors.commands.snapshot()
        pool = monitors.pool.snapshot()
        traffic = monitors.commands.traffic()
    return Counted(
        commands=told.commands,
        check_outs=(told.waited_for, told.given_back),
        failures=sorted(
            (each.kind, each.operation, each.count) for each in monitors.failures.latest()
        ),
        traffic=(traffic.sent, traffic.unanswered),
        totals=(totals["total"], totals["failed"]),
        pool={name: value for name, value in pool.items() if "checkout" not in name},
        slow=slow_facts(emitted),
    )


def transfer(things: Collection[Any]) -> None:
    client = things.database.client
    with client.start_session() as session:
        with session.start_transaction():
            things.insert_one({"_id": 11}, session=session)
        with suppress(OperationFailure), session.start_transaction():
            things.insert_one({"_id": 11}, session=session)


def unreadable(things: Collection[Any]) -> None:
    broken = b"\x0f\x00\x00\x00\x02b\x00\x02\x00\x00\x00\xff\x00\x00"
    id_ = b"\x10_id\x00\x63\x00\x00\x00"
    content = id_ + broken[4:-1]
    document = (len(content) + 5).to_bytes(4, "little") + content + b"\x00"
    things.insert_one(RawBSONDocument(document))
    things.find_one({"_id": 0x63})


DEEDS: dict[str, Deed] = {
    "insert": lambda things: things.insert_one({"_id": 9}),
    "insert of many": lambda things: things.insert_many([{}, {}, {}]),
    "bulk write": lambda things: things.bulk_write(
        [InsertOne({}), UpdateOne({"_id": 1}, {"$set": {"n": 1}}), DeleteOne({"_id": 2})]
    ),
    "duplicate": lambda things: things.insert_one({"_id": 1}),
    "insert without confirmation": lambda things: things.with_options(
        write_concern=WriteConcern(w=0)
    ).insert_one({"_id": 9}),
    "several without confirmation": lambda things: things.with_options(
        write_concern=WriteConcern(w=0)
    ).insert_many([{}, {}]),
    "update": lambda things: things.update_many({}, {"$set": {"text": "b"}}),
    "refused update": lambda things: things.update_one({}, {"$nonsense": 1}),
    "delete": lambda things: things.delete_many({"_id": {"$gt": 2}}),
    "find": lambda things: list(things.find()),
    "find in batches": lambda things: list(things.find(batch_size=2)),
    "find to exhaustion": lambda things: list(
        things.find(batch_size=2, cursor_type=CursorType.EXHAUST)
    ),
    "raw batches": lambda things: list(things.find_raw_batches()),
    "refused find": lambda things: things.find_one({"$nonsense": 1}),
    "unreadable documents": unreadable,
    "aggregate": lambda things: list(things.aggregate([{"$match": {}}])),
    "refused aggregate": lambda things: things.aggregate([{"$nonsense": 1}]),
    "find and modify": lambda things: things.find_one_and_update({}, {"$inc": {"n": 1}}),
    "find and modify into a duplicate": lambda things: things.find_one_and_replace(
        {"_id": 9}, {"_id": 1}, upsert=True
    ),
    "count": lambda things: things.count_documents({}),
    "count of what isn't there": lambda things: things.database.missing.count_documents({}),
    "drop": lambda things: things.drop(),
    "drop of what isn't there": lambda things: things.database.missing.drop(),
    "drop of indexes that aren't there": lambda things: things.database.missing.drop_indexes(),
    "index that isn't there": lambda things: things.drop_index("missing"),
    "indexes": lambda things: list(things.list_indexes()),
    "indexes of what isn't there": lambda things: list(things.database.missing.list_indexes()),
    "renaming what isn't there": lambda things: things.database.missing.rename("other"),
    "creating what is there": lambda things: things.database.create_collection(
        "things", check_exists=False
    ),
    "unknown command": lambda things: things.database.command("nonsense"),
    "transactions": transfer,
    "too large": lambda things: things.insert_one({"text": "a" * 17_000_000}),
    "unknown write concern": lambda things: things.with_options(
        write_concern=WriteConcern(w="nonsense")
    ).insert_one({"_id": 9}),
    "drop with an unknown write concern": lambda things: things.with_options(
        write_concern=WriteConcern(w="nonsense")
    ).drop(),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_counted_is_what_the_driver_tells(uri: str, database_name: str, deed: str) -> None:
    heard = Heard()
    own = counted(uri, DEEDS[deed], database=database_name)
    by_events = counted(uri, DEEDS[deed], heard, database=database_name)
    assert own == by_events
    assert own.commands == heard.told.commands
    assert own.check_outs == (heard.told.waited_for, heard.told.given_back)


known = pytest.mark.skipif(
    pymongo.version_tuple < (4, 20), reason="this release of the driver tells by itself"
)


@known
def test_the_error_of_a_command_that_asked_not_to_raise_is_a_failure(
    uri: str, database_name: str
) -> None:
    own = counted(
        uri,
        lambda things: things.database.command("nonsense", check=False),
        database=database_name,
    )
    assert ("nonsense", "59") in own.commands
    assert own.totals[1] == 1


@pytest.mark.parametrize("own", [True, False], ids=["own", "by events"])
def test_a_lost_reply_is_counted_once(
    mongod: EmbeddedMongo, database_name: str, *, own: bool
) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None)
    others = () if own else (Heard(),)
    with FaultyProxy(mongod.hosts[0]) as proxy:
        uri = f"{proxy.uri_for(database_name)}&retryWrites=false"
        with client_for(uri, monitors, *others) as client:
            client.admin.command("ping")
            before = monitors.commands.traffic()
            proxy.swallow_reply("insert")
            with pytest.raises(AutoReconnect):
                client[database_name].things.insert_one({})
            after = monitors.commands.traffic()
            figures = monitors.commands.snapshot()
    assert (after.sent - before.sent, after.unanswered) == (1, 1)
    assert figures["failed"] == 1
    (failure,) = (each for each in monitors.failures.latest() if "insert" in each.operation)
    assert failure.kind in ("AutoReconnect", "ConnectionResetError")  # or in older releases
    assert failure.operation == "insert things"


def counts_itself(client: MongoClient[Any]) -> tuple[bool, bool]:
    """Whether the driver leaves commands and check-outs to datalayer."""
    (server,) = client._topology._servers.values()
    listeners: Any = client._event_listeners
    return not listeners.enabled_for_commands, not server.pool._telemetry._should_publish


@known
def test_a_client_whose_events_nobody_else_hears_counts_itself(uri: str) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None)
    with client_for(uri, monitors) as client:
        client.admin.command("ping")
        assert counts_itself(client) == (True, True)
        assert monitors.commands.snapshot()["total"] == 1
        assert monitors.pool.snapshot()["checkout_p50_ms"] is not None


@known
def test_the_driver_tells_where_somebody_else_listens(uri: str) -> None:
    heard = Heard()
    with client_for(uri, Monitors("default", 100, lambda name, facts: None), heard) as client:
        client.admin.command("ping")
        assert counts_itself(client) == (False, False)
    assert ("ping", None) in heard.told.commands


@known
def test_the_driver_tells_of_check_outs_where_leaks_are_looked_for(uri: str) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None, leak_warning_ms=1000)
    with client_for(uri, monitors) as client:
        client.admin.command("ping")
        assert counts_itself(client) == (True, False)
    monitors.stop()


@known
def test_the_driver_tells_of_compressed_commands(uri: str) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None)
    with client_for(f"{uri}&compressors=zlib", monitors) as client:
        client.admin.command("ping")
        assert counts_itself(client) == (False, True)
        assert monitors.commands.snapshot()["total"] == 1


@known
def test_a_driver_made_in_another_way_tells_by_itself(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_driver_is_known", lambda: False)
    monitors = Monitors("default", 100, lambda name, facts: None)
    with client_for(uri, monitors) as client:
        client.admin.command("ping")
        assert counts_itself(client) == (False, False)
        assert monitors.commands.snapshot()["total"] == 1


@known
def test_the_installed_driver_is_known() -> None:
    assert counting._driver_is_known()


def test_the_drivers_own_log_tells_of_what_is_counted(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None)
    with client_for(uri, monitors) as client:
        client.admin.command("ping")
        with caplog.at_level(logging.DEBUG, "pymongo"):
            client.admin.command("ping")
        pool = monitors.pool.snapshot()
    assert "Connection checked out" in caplog.text
    assert "Command succeeded" in caplog.text
    assert (pool["in_use"], pool["waiting"], pool["open"]) == (0, 0, 1)
    assert monitors.commands.snapshot()["total"] >= 2


def test_an_error_while_counting_reaches_no_operation(
    uri: str, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def emit(name: str, facts: Mapping[str, Any]) -> None:
        raise RuntimeError("canary-4711")

    with client_for(uri, Monitors("default", 0, emit)) as client:
        assert client.admin.command("ping")["ok"] == 1
        with pytest.raises(OperationFailure):
            client[database_name].things.find_one({"$nonsense": 1})
    assert "a command was not counted (RuntimeError)" in caplog.messages
    assert "canary-4711" not in caplog.text


@known
def test_a_connection_that_nobody_got_goes_back(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None)
    with client_for(uri, monitors) as client:
        client.admin.command("ping")
        with monkeypatch.context() as patched:
            patched.setattr(monitors.pool, "take", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.admin.command("ping")
        (server,) = client._topology._servers.values()
        assert server.pool.active_sockets == 0
        client.admin.command("ping")


def _interrupted(*args: object) -> None:
    raise KeyboardInterrupt


def test_threads_count_their_own_commands(uri: str, database_name: str) -> None:
    monitors = Monitors("default", 100, lambda name, facts: None)
    sent = []

    def work() -> None:
        for _ in range(20):
            client[database_name].things.find_one()
        sent.append(monitors.commands.traffic())

    with client_for(uri, monitors) as client:
        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sent == [(20, 0)] * 5
        assert monitors.commands.snapshot()["total"] == 100
        pool = monitors.pool.snapshot()
        assert (pool["in_use"], pool["waiting"]) == (0, 0)
