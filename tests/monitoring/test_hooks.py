"""The driver tells the monitors of commands and check-outs directly, and what they tell is the
same as with its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from pymongo import MongoClient, monitoring
from pymongo.errors import AutoReconnect, OperationFailure

from datalayer import Settings
from datalayer.connections.client import open_client
from datalayer.embedded import EmbeddedMongo
from datalayer.monitoring import Monitors
from datalayer.monitoring.hooks import tell_directly

START = "publish_command_start"
CHECKED_OUT = "publish_connection_checked_out"


class Emitted:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, name: str, facts: Mapping[str, Any]) -> None:
        self.events.append((name, facts))


class Heard(monitoring.CommandListener):
    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


@pytest.fixture
def monitors(emitted: Emitted) -> Monitors:
    return Monitors("default", 100, emitted)


@contextmanager
def opened(
    uri: str, monitors: Monitors, *, directly: bool = True, **options: Any
) -> Iterator[MongoClient[Any]]:
    with MongoClient(uri, event_listeners=monitors.listeners(), **options) as client:
        if directly:
            tell_directly(client, monitors)
        yield client


def replaced(client: MongoClient[Any]) -> set[str]:
    return {name for name in vars(client._event_listeners) if name.startswith("publish_")}


@pytest.fixture(params=[True, False], ids=["directly", "by events"])
def directly(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_the_clients_of_datalayer_tell_directly(uri: str, monitors: Monitors) -> None:
    settings = Settings(databases={"default": uri})["default"]
    with open_client(settings, settings.uri, monitors) as client:
        assert {START, CHECKED_OUT} <= replaced(client)


def test_commands_and_check_outs_are_counted(
    uri: str, database_name: str, monitors: Monitors, *, directly: bool
) -> None:
    with opened(uri, monitors, directly=directly) as client:
        collection = client[database_name].things
        for number in range(5):
            collection.insert_one({"_id": number})
        assert collection.count_documents({}) == 5
        with pytest.raises(OperationFailure):
            collection.find_one({"$nonsense": 1})
        commands, pool = monitors.commands.snapshot(), monitors.pool.snapshot()
        assert monitors.commands.traffic() == (7, 0)
    assert (commands["total"], commands["failed"]) == (7, 1)
    assert commands["p50_ms"] > 0
    assert (pool["open"], pool["in_use"], pool["idle"], pool["waiting"]) == (1, 0, 1, 0)
    assert pool["checkout_p50_ms"] is not None


def test_an_open_cursor_holds_nothing_and_a_transaction_holds_one(
    uri: str, database_name: str, monitors: Monitors, *, directly: bool
) -> None:
    with opened(uri, monitors, directly=directly) as client, client.start_session() as session:
        collection = client[database_name].things
        collection.insert_many([{"_id": number} for number in range(5)])
        with session.start_transaction():
            assert len(list(collection.find(session=session, batch_size=2))) == 5
        pool = monitors.pool.snapshot()
    assert (pool["in_use"], pool["waiting"]) == (0, 0)


def test_a_slow_command_is_named_with_its_collection_and_number_of_documents(
    uri: str, database_name: str, emitted: Emitted, *, directly: bool
) -> None:
    with opened(uri, Monitors("default", 0, emitted), directly=directly) as client:
        client[database_name].things.insert_many([{}, {}, {}])
        list(client[database_name].things.find())
    told = [
        (facts["command"], facts["collection"], facts["documents"])
        for name, facts in emitted.events
        if name == "slow_command"
    ]
    assert told[:2] == [("insert", "things", 3), ("find", "things", 3)]


def test_a_slow_command_about_a_user_names_nobody(
    uri: str, database_name: str, emitted: Emitted, *, directly: bool
) -> None:
    with opened(uri, Monitors("default", 0, emitted), directly=directly) as client:
        client[database_name].command("createUser", "canary", pwd="canary-4711", roles=[])
        client[database_name].command("dropUser", "canary")
    assert [facts["collection"] for _, facts in emitted.events[:2]] == [None, None]
    assert "canary" not in str(emitted.events)


def test_a_lost_reply_is_counted_as_one(
    mongod: EmbeddedMongo, database_name: str, monitors: Monitors, *, directly: bool
) -> None:
    with (
        FaultyProxy(mongod.hosts[0]) as proxy,
        opened(
            proxy.uri_for(database_name), monitors, directly=directly, retryWrites=False
        ) as client,
    ):
        client.admin.command("ping")
        proxy.swallow_reply("insert")
        with pytest.raises(AutoReconnect):
            client[database_name].things.insert_one({})
        assert monitors.commands.traffic().unanswered == 1
        assert monitors.commands.snapshot()["failed"] == 1


def test_other_listeners_get_their_events(
    uri: str, monitors: Monitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    registered = [*monitoring._LISTENERS.command_listeners, heard]
    monkeypatch.setattr(
        monitoring, "_LISTENERS", monitoring._LISTENERS._replace(command_listeners=registered)
    )
    with opened(uri, monitors) as client:
        client.admin.command("ping")
        assert CHECKED_OUT in replaced(client)
    assert heard.names[:1] == ["ping"]
    assert monitors.commands.snapshot()["total"] >= 1


def test_connections_held_for_long_are_still_told_with_their_place(uri: str) -> None:
    monitors = Monitors("default", 100, Emitted(), leak_warning_ms=1000)
    with opened(uri, monitors) as client:
        assert (START in replaced(client), CHECKED_OUT in replaced(client)) == (True, False)
        client.admin.command("ping")
    monitors.stop()


def test_a_driver_made_in_another_way_is_listened_to_by_its_events(
    uri: str, monitors: Monitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = monitoring._EventListeners.publish_command_start

    def publish_command_start(self: Any, request: Any, *others: Any, **named: Any) -> None:
        plain(self, request, *others, **named)

    monkeypatch.setattr(monitoring._EventListeners, START, publish_command_start)
    with opened(uri, monitors) as client:
        client.admin.command("ping")
        assert (START in replaced(client), CHECKED_OUT in replaced(client)) == (False, True)
    assert monitors.commands.snapshot()["total"] >= 1


def test_a_driver_that_tells_more_is_listened_to_by_its_events(
    uri: str, monitors: Monitors, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = monitoring._EventListeners.publish_command_start

    def publish_command_start(
        self: Any,
        command: Any,
        database_name: Any,
        request_id: Any,
        connection_id: Any,
        server_connection_id: Any,
        op_id: Any = None,
        service_id: Any = None,
        more: Any = None,
    ) -> None:
        address = (connection_id, server_connection_id, op_id, service_id)
        plain(self, command, database_name, request_id, *address)

    monkeypatch.setattr(monitoring._EventListeners, START, publish_command_start)
    with opened(uri, monitors) as client:
        client.admin.command("ping")
        assert START not in replaced(client)
    assert monitors.commands.snapshot()["total"] >= 1


def test_an_error_while_counting_does_not_reach_the_operation(
    uri: str, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def emit(name: str, facts: Mapping[str, Any]) -> None:
        raise RuntimeError("canary-4711")

    with opened(uri, Monitors("default", 0, emit)) as client:
        assert client.admin.command("ping")["ok"] == 1
        with pytest.raises(OperationFailure):
            client[database_name].things.find_one({"$nonsense": 1})
    assert "a command was not counted (RuntimeError)" in caplog.messages
    assert "canary-4711" not in caplog.text
