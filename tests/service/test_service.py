"""The life of one database: connecting, retrying, watching, reporting, closing."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mongoengine
import pytest
from faulty_proxy import FaultyProxy
from mongoengine import connection as mongoengine_connection
from observing import NO_OTHER_LIMIT
from pymongo import MongoClient
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    NotConnectedError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.service.events import Event
from datalayer.service.service import DatabaseService
from datalayer.settings import DatabaseSettings, Settings

DEADLINE = 60.0


def settings_of(uri: str, alias: str = "default", **options: object) -> DatabaseSettings:
    return Settings(databases={alias: {"uri": uri, **options}})[alias]


def impatient(uri: str, alias: str = "default", **options: object) -> DatabaseSettings:
    """Settings that give up soon: 0.4 s for a server, 1 s in all."""
    quick = {"server_selection_timeout_ms": 400, "retry_max_seconds": 1, "retry_attempts": 3}
    return settings_of(uri, alias, **{**quick, **options})


class Heard:
    """Keeps the events of a service and waits for one with a deadline."""

    def __init__(self, service: DatabaseService, *names: str) -> None:
        self.events: list[Event] = []
        self._service = service
        self._names = names
        self._changed = threading.Condition()
        for name in names:
            service.on(name, self)

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def wait_for(self, name: str, **facts: object) -> Event:
        def found() -> list[Event]:
            wanted = facts.items()
            return [e for e in self.events if e.name == name and wanted <= e.facts.items()]

        with self._changed:
            assert self._changed.wait_for(found, DEADLINE), (name, self.events)
            return found()[0]

    def stop(self) -> None:
        for name in self._names:
            self._service.off(name, self)


@pytest.fixture
def service() -> DatabaseService:
    return db.database


@pytest.fixture
def heard(service: DatabaseService) -> Iterator[Heard]:
    heard = Heard(
        service, "connecting", "connected", "disconnected", "unavailable", "recovered",
        "pool_exhausted", "slow_command",
    )  # fmt: skip
    yield heard
    heard.stop()


# Connecting


def test_connecting_verifies_and_warms_the_pool(service: DatabaseService, uri: str) -> None:
    service.connect(settings_of(uri))
    pool = service.status()["pool"]
    assert (pool["max_size"], pool["min_size"]) == (10, 2)
    assert pool["open"] >= 2
    assert service.is_connected


def test_connecting_takes_one_command_and_opens_no_more_than_the_minimum(
    service: DatabaseService, uri: str
) -> None:
    service.connect(settings_of(uri, min_pool_size=4, auto_index=False, auto_create=False))
    status = service.status_verified()
    assert status["commands"]["total"] == 1
    assert status["latency_ms"] > 0
    assert (status["pool"]["open"], status["pool"]["idle"]) == (4, 4)
    assert status["server_version"] == service.client.server_info()["version"]


def test_a_server_that_imitates_mongodb_in_part_is_verified_by_a_ping(
    service: DatabaseService, uri: str
) -> None:
    command_not_found = {"failCommands": ["explain"], "errorCode": 59}
    with MongoClient[dict[str, Any]](uri) as admin:
        admin.admin.command(
            "configureFailPoint", "failCommand", mode="alwaysOn", data=command_not_found
        )
        try:
            service.connect(settings_of(uri, auto_index=False, auto_create=False))
        finally:
            admin.admin.command("configureFailPoint", "failCommand", mode="off")
    status = service.status_verified()
    assert (status["connected"], status["commands"]["failed"]) == (True, 1)
    assert status["server_version"] == service.client.server_info()["version"]


def test_connecting_again_with_the_same_settings_does_nothing(
    service: DatabaseService, uri: str
) -> None:
    client = service.connect(settings_of(uri)).client
    assert service.connect(settings_of(uri)).client is client
    assert service.connect().client is client


def test_connecting_with_other_settings_is_refused(service: DatabaseService, uri: str) -> None:
    service.connect(settings_of(uri))
    with pytest.raises(ConfigurationError, match="already connected with other settings"):
        service.connect(settings_of(uri, max_pool_size=3))


def test_an_alias_that_other_code_connected_is_not_taken_over(
    service: DatabaseService, uri: str
) -> None:
    mongoengine.connect(host=uri, alias="default", uuidRepresentation="standard")
    try:
        with pytest.raises(ConfigurationError, match=r"direct call of mongoengine\.connect"):
            service.connect(settings_of(uri))
    finally:
        mongoengine.disconnect("default")


def test_the_events_tell_of_connecting_and_disconnecting(
    service: DatabaseService, uri: str, heard: Heard
) -> None:
    service.connect(settings_of(uri, slow_ms=60_000))
    service.disconnect()
    assert heard.names() == ["connecting", "connected", "disconnected"]


def test_the_log_line_of_connecting_has_its_facts_as_fields(
    service: DatabaseService, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="datalayer.service"):
        service.connect(settings_of(uri))
    (record,) = [r for r in caplog.records if vars(r).get("event") == "connected"]
    assert (vars(record)["alias"], vars(record)["elapsed"] > 0) == ("default", True)


# Failing to connect


def test_a_refused_port_fails_within_the_total_deadline(
    service: DatabaseService, closed_port: int
) -> None:
    with pytest.raises(ConnectError) as caught:  # a hundred attempts would take minutes
        service.connect(impatient(f"mongodb://127.0.0.1:{closed_port}/shop", retry_attempts=100))
    assert caught.value.reason == "refused"
    assert f"127.0.0.1:{closed_port}" in str(caught.value)
    assert "check that mongod runs there" in str(caught.value)
    assert service.state == "disconnected"


def test_an_unknown_host_is_told_apart(service: DatabaseService) -> None:
    with pytest.raises(ConnectError, match="does not resolve") as caught:
        service.connect(impatient("mongodb://no-such-host.invalid/shop"))
    assert caught.value.reason == "unknown_host"


def test_a_server_that_accepts_and_never_answers_is_told_apart(
    service: DatabaseService, silent_port: int
) -> None:
    uri = f"mongodb://127.0.0.1:{silent_port}/shop"
    with pytest.raises(ConnectError, match="does not answer") as caught:
        service.connect(impatient(uri, **NO_OTHER_LIMIT))
    assert caught.value.reason == "timeout"


def test_a_wrong_replica_set_name_is_told_apart(
    service: DatabaseService, mongod: EmbeddedMongo
) -> None:
    uri = f"mongodb://{mongod.hosts[0]}/shop?replicaSet=other"
    with pytest.raises(ConnectError, match="another replica set") as caught:
        service.connect(impatient(uri))
    assert caught.value.reason == "replica_set"


def test_tls_to_a_plain_server_is_told_apart(
    service: DatabaseService, mongod: EmbeddedMongo
) -> None:
    uri = f"mongodb://{mongod.hosts[0]}/shop?tls=true&directConnection=true"
    with pytest.raises(ConnectError, match="TLS handshake fails") as caught:
        service.connect(impatient(uri))
    assert caught.value.reason == "tls"


def test_a_wrong_password_is_refused_at_once_and_not_retried(
    service: DatabaseService, auth_mongod: EmbeddedMongo, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"mongodb://app:canary-wrong@{auth_mongod.hosts[0]}/shop?authSource=admin"
    with (
        caplog.at_level(logging.DEBUG, logger="datalayer"),
        pytest.raises(AuthenticationError, match="refused the credentials") as caught,
    ):
        service.connect(settings_of(uri))
    assert [r for r in caplog.records if vars(r).get("event") == "retry"] == []
    assert "canary-wrong" not in caplog.text + repr(caught.value) + str(caught.value.__cause__)


def test_a_wrong_password_is_raised_for_an_optional_database_too(
    auth_mongod: EmbeddedMongo,
) -> None:
    uri = f"mongodb://app:wrong@{auth_mongod.hosts[0]}/events?authSource=admin"
    with pytest.raises(AuthenticationError):
        db.database1.connect(settings_of(uri, "database1"))
    assert db.database1.state == "disconnected"


def test_a_failed_connect_leaves_no_client_and_no_registered_alias(
    service: DatabaseService, closed_port: int
) -> None:
    before = threading.active_count()
    with pytest.raises(ConnectError):
        service.connect(impatient(f"mongodb://127.0.0.1:{closed_port}/shop"))
    assert "default" not in mongoengine_connection._connections
    assert "default" not in mongoengine_connection._connection_settings
    wait_until(lambda: threading.active_count() <= before)


def test_each_retry_is_logged_with_its_number(
    service: DatabaseService, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"mongodb://127.0.0.1:{closed_port}/shop"
    with caplog.at_level(logging.WARNING, logger="datalayer"), pytest.raises(ConnectError):
        service.connect(impatient(uri, server_selection_timeout_ms=100, retry_max_seconds=30))
    attempts = [vars(r)["attempt"] for r in caplog.records if vars(r).get("event") == "retry"]
    assert attempts == [1, 2]


def test_a_server_that_comes_up_during_the_retries_is_connected(
    service: DatabaseService, mongod: EmbeddedMongo, database_name: str
) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        proxy.refuse()
        uri = proxy.uri_for(database_name)
        heard = threading.Event()

        class FirstRetry(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                proxy.restore()
                heard.set()

        handler = FirstRetry(logging.WARNING)
        logging.getLogger("datalayer.opening").addHandler(handler)
        try:
            service.connect(impatient(uri, retry_max_seconds=20))
        finally:
            logging.getLogger("datalayer.opening").removeHandler(handler)
        assert heard.is_set()
        assert service.is_connected
        service.disconnect()


def test_disconnecting_ends_a_connect_that_is_retrying(
    service: DatabaseService, closed_port: int, heard: Heard
) -> None:
    errors: list[Exception] = []
    uri = f"mongodb://127.0.0.1:{closed_port}/shop"

    def connect() -> None:
        try:
            service.connect(impatient(uri, retry_attempts=50, retry_max_seconds=60))
        except ConnectError as exc:
            errors.append(exc)

    thread = threading.Thread(target=connect)
    thread.start()
    heard.wait_for("connecting")
    service.disconnect()
    thread.join(DEADLINE)
    assert (len(errors), service.state) == (1, "disconnected")


# Optional databases


def test_an_optional_database_that_is_away_joins_by_itself(
    mongod: EmbeddedMongo, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = db.database1
    heard = Heard(service, "recovered", "connected")
    with FaultyProxy(mongod.hosts[0]) as proxy:
        proxy.refuse()
        uri = f"{proxy.uri_for(database_name)}&heartbeatFrequencyMS=500"
        with caplog.at_level(logging.ERROR, logger="datalayer"):
            service.connect(impatient(uri, "database1"))
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        assert (service.state, service.is_connected) == ("unavailable", False)
        report = service.status(0.3)
        assert (report["connected"], report["state"]) == (False, "unavailable")
        assert "did not answer" in report["last_error"]
        proxy.restore()
        heard.wait_for("connected")
        assert heard.names() == ["recovered", "connected"]
        assert service.status()["connected"]
        service.disconnect()
    heard.stop()


def test_a_required_database_that_is_lost_and_found_tells_both(
    service: DatabaseService, mongod: EmbeddedMongo, database_name: str, heard: Heard
) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        uri = proxy.uri_for(database_name)
        service.connect(impatient(f"{uri}&heartbeatFrequencyMS=500"))
        proxy.refuse()
        heard.wait_for("unavailable")
        assert service.state == "unavailable"
        proxy.restore()
        heard.wait_for("recovered")
        assert service.ping(DEADLINE) > 0
        service.disconnect()


# Questions


def test_status_is_json_ready_and_has_the_contracts_keys(
    service: DatabaseService, uri: str
) -> None:
    service.connect(settings_of(uri))
    status = json.loads(json.dumps(service.status()))
    assert {
        "alias", "connected", "state", "required", "database", "hosts", "topology",
        "server_version", "latency_ms", "connected_since", "uri", "last_error", "pool", "commands",
    } - set(status) == set()  # fmt: skip
    assert {
        "max_size", "min_size", "open", "in_use", "idle", "waiting", "checkout_p50_ms",
        "checkout_p99_ms", "timeouts",
    } - set(status["pool"]) == set()  # fmt: skip
    assert {"total", "failed", "slow", "p50_ms", "p95_ms", "p99_ms"} == set(status["commands"])
    assert status["server_version"] == service.client.server_info()["version"]
    assert status["topology"] == "ReplicaSetWithPrimary"


def test_a_disconnected_status_has_the_same_keys(service: DatabaseService, uri: str) -> None:
    disconnected = service.status()
    service.connect(settings_of(uri))
    connected = service.status()
    assert set(disconnected) == set(connected)
    assert set(disconnected["pool"]) == set(connected["pool"])
    assert set(disconnected["commands"]) == set(connected["commands"])


def test_status_never_connects(service: DatabaseService) -> None:
    assert (service.status()["state"], registry.aliases()) == ("disconnected", [])


def test_status_hides_the_password(auth_mongod: EmbeddedMongo, service: DatabaseService) -> None:
    service.connect(settings_of(auth_mongod.uri_for("shop")))
    assert "ss/w" not in json.dumps(service.status())
    assert "%26" not in json.dumps(service.status()["uri"])


def test_before_connecting_there_is_no_client(service: DatabaseService) -> None:
    with pytest.raises(NotConnectedError, match=r"call db\.connect_all\(\)"):
        _ = service.client
    with pytest.raises(NotConnectedError):
        service.ping()


@pytest.mark.stops_processes
def test_a_ping_to_a_hung_server_ends_in_time(
    service: DatabaseService, mongod: EmbeddedMongo, uri: str
) -> None:
    service.connect(settings_of(uri, **NO_OTHER_LIMIT))
    mongod.pause(0)
    try:
        with pytest.raises(UnavailableError, match=r"did not answer a ping within 0\.3 s"):
            service.ping(0.3)
        assert service.status(0.3)["state"] == "unavailable"
    finally:
        mongod.resume(0)


def test_commands_and_connections_are_counted(service: DatabaseService, uri: str) -> None:
    service.connect(settings_of(uri))
    before = service.status()["commands"]["total"]
    for _ in range(5):
        service.client[service.name].things.find_one()
    status = service.status()
    assert status["commands"]["total"] - before >= 5
    assert (status["pool"]["in_use"], status["pool"]["waiting"]) == (0, 0)


def test_an_exhausted_pool_is_counted_and_told(
    service: DatabaseService, uri: str, heard: Heard
) -> None:

    service.connect(settings_of(uri, max_pool_size=1, min_pool_size=1, operation_timeout_ms=500))
    collection = service.client[service.name].things
    collection.insert_many([{"number": number} for number in range(300)])
    with service.client.start_session() as session:
        # An exhaust cursor keeps its connection until it is closed.
        from pymongo.cursor import CursorType

        cursor = collection.find(cursor_type=CursorType.EXHAUST, batch_size=1, session=session)
        next(cursor)
        with pytest.raises(PoolExhaustedError):
            collection.find_one()
        cursor.close()
    heard.wait_for("pool_exhausted")
    assert service.status()["pool"]["timeouts"] >= 1


def test_a_slow_command_is_told(service: DatabaseService, uri: str, heard: Heard) -> None:
    service.connect(settings_of(uri, slow_ms=20))
    things = service.client[service.name].things
    things.insert_one({})
    things.find_one({"$where": "sleep(40) || true"})
    event = heard.wait_for("slow_command", command="find", collection="things")
    assert event.facts["ms"] >= 20


def test_one_database_can_be_connected_without_settings_for_the_other(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.setenv("DATABASE1_URI", uri)
    assert db.database1.connect().is_connected
    assert db.database.state == "disconnected"


def test_without_any_setting_the_missing_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.delenv("DATABASE1_URI", raising=False)
    with pytest.raises(ConfigurationError, match="DATABASE1_URI is not set; for example"):
        db.database1.connect()
    with pytest.raises(ConfigurationError, match="MONGODB_URI is not set; for example"):
        db.database.connect()


def test_mongomock_needs_no_server_and_warns_of_its_limits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = db.database1
    with caplog.at_level(logging.WARNING, logger="datalayer"):
        service.connect(settings_of("mongomock://events", "database1"))
    assert "runs on mongomock: no transactions" in caplog.text
    things = service.client[service.name].things
    things.insert_one({"number": 1})
    assert things.find_one()["number"] == 1
    assert (service.is_connected, service.status()["connected"]) == (True, True)
