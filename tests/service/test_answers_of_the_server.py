"""What a server's answer means while it is being reached: a slow one, or one that isn't ready, is
asked again; one that says no is not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fresh_databases import model_registry
from mongoengine import StringField
from pymongo import MongoClient
from waiting import wait_until

import datalayer.retry
from datalayer import db
from datalayer.connections.registry import registry
from datalayer.doctor.facts import Deadline
from datalayer.doctor.probes.server import ask_server
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import AuthenticationError, ConnectError, UnavailableError
from datalayer.failures.connecting import Diagnosis
from datalayer.failures.server_codes import PASSING, ServerCode
from datalayer.service.connecting import check_again
from datalayer.settings import Settings

VERIFYING = ("explain", "ping")


class Visit(Document):
    page = StringField(unique=True)
    meta = {"db_alias": "database1"}


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Visit):
        yield


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datalayer.retry, "FIRST_WAIT_SECONDS", 0.005)


@contextmanager
def answering(
    server: EmbeddedMongo, code: int, mode: Any = "alwaysOn", alias: str = "default"
) -> Iterator[Any]:
    """Has the server answer with ``code`` when a database is verified; gives what counts it."""
    with MongoClient[dict[str, Any]](server.uri) as client:
        data = {"failCommands": VERIFYING, "errorCode": code, "appName": f"datalayer:{alias}"}
        before = client.admin.command("configureFailPoint", "failCommand", mode=mode, data=data)

        def times() -> int:
            name = "failpoint.failCommand"
            found = client.admin.command("getParameter", 1, **{name: 1})
            return int(found[name]["timesEntered"]) - int(before["count"])

        try:
            yield times
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")


def connect(server: EmbeddedMongo, name: str, **options: Any) -> None:
    # After some codes the driver waits for the next heartbeat.
    uri = f"{server.uri_for(name)}&heartbeatFrequencyMS=500"
    options = {"retry_attempts": 10, "retry_max_seconds": 20.0, **options}
    db.connect_all(Settings(databases={"default": {"uri": uri, **options}}))


UNHEARD_OF = 987_654


@pytest.mark.parametrize("code", [*sorted(PASSING), UNHEARD_OF, 1, 8])
def test_a_server_that_is_not_ready_is_asked_again(
    mongod: EmbeddedMongo, database_name: str, code: int
) -> None:
    with answering(mongod, code, {"times": 2}) as times:
        connect(mongod, database_name, min_pool_size=0)
        assert times() == 2
    assert db.database.is_connected


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (ServerCode.UserNotFound, AuthenticationError),
        (ServerCode.Unauthorized, AuthenticationError),
        (ServerCode.AuthenticationFailed, AuthenticationError),
        (ServerCode.AtlasError, AuthenticationError),
        (ServerCode.BadValue, ConnectError),
        (ServerCode.ProtocolError, ConnectError),
        (ServerCode.MechanismUnavailable, ConnectError),
        (ServerCode.APIStrictError, ConnectError),
    ],
)
@pytest.mark.parametrize("required", [True, False])
def test_a_server_that_says_no_is_asked_once(
    mongod: EmbeddedMongo,
    database_name: str,
    code: int,
    kind: type[ConnectError],
    required: bool,
) -> None:
    with answering(mongod, code) as times:
        with pytest.raises(kind) as caught:
            connect(mongod, database_name, required=required)
        assert times() <= len(VERIFYING)
    assert type(caught.value) is kind
    assert caught.value.reason == "rejected"
    assert db.database.state == "disconnected"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (ServerCode.MaxTimeMSExpired, "slow"),
        (ServerCode.ExceededTimeLimit, "slow"),
        (ServerCode.ElectionInProgress, "no_primary"),
        (ServerCode.TooManyLogicalSessions, "not_ready"),
        (UNHEARD_OF, "not_ready"),
    ],
)
def test_the_error_says_what_the_server_answered_to_the_end(
    mongod: EmbeddedMongo, database_name: str, code: int, reason: str
) -> None:
    with answering(mongod, code), pytest.raises(ConnectError) as caught:
        connect(mongod, database_name, retry_attempts=2)
    assert caught.value.reason == reason
    assert f"error {code:d} (gave up after" in str(caught.value)
    assert not isinstance(caught.value, AuthenticationError)


@pytest.mark.parametrize("code", [ServerCode.MaxTimeMSExpired, ServerCode.ExceededTimeLimit])
def test_an_optional_database_that_is_slow_at_the_start_joins(
    mongod: EmbeddedMongo, database_name: str, code: int
) -> None:
    uri = f"{mongod.uri_for(f'{database_name}_1')}&heartbeatFrequencyMS=500"
    databases = {
        "default": mongod.uri_for(database_name),
        "database1": {"uri": uri, "retry_attempts": 1},
    }
    with answering(mongod, code, alias="database1"):
        db.connect_all(Settings(databases=databases))
        assert db.database1.state != "disconnected"
    wait_until(lambda: registry.connection("database1").connected_since, 15, "it joins")
    assert Visit(page="/").save().pk
    assert db.status()["database1"]["last_error"] is None


def test_a_database_that_is_slow_when_it_comes_back_is_not_refused(
    mongod: EmbeddedMongo, database_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    connect(mongod, database_name)
    connection, never = registry.connection(), threading.Event()
    with answering(mongod, ServerCode.MaxTimeMSExpired), caplog.at_level(logging.INFO):
        db.database._note_recovered(_recovered())
        check_again(connection, 2.0, never)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert db.status()["default"]["last_error"] is None
    with (
        answering(mongod, ServerCode.AuthenticationFailed),
        pytest.raises(AuthenticationError),
    ):
        check_again(connection, 2.0, never)


def test_a_slow_answer_is_waited_for_when_a_database_comes_back(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    connect(mongod, database_name)
    with answering(mongod, ServerCode.ExceededTimeLimit, {"times": 3}) as times:
        check_again(registry.connection(), 2.0, threading.Event(), attempts=5)
        assert times() == 3


def _recovered() -> Any:
    from datalayer.service.events import Event

    return Event("recovered", "default")


def test_a_ping_tells_slow_from_refused(mongod: EmbeddedMongo, database_name: str) -> None:
    connect(mongod, database_name)
    with answering(mongod, ServerCode.MaxTimeMSExpired), pytest.raises(UnavailableError):
        db.database.ping()
    with (
        answering(mongod, ServerCode.AuthenticationFailed),
        pytest.raises(AuthenticationError),
    ):
        db.database.ping()


def test_the_doctor_tells_slow_from_refused(mongod: EmbeddedMongo, database_name: str) -> None:
    settings = Settings(databases={"default": mongod.uri_for(database_name)})["default"]
    with answering(mongod, ServerCode.ExceededTimeLimit, alias="doctor"):
        found = ask_server(settings, None, Deadline(5.0), 2.0)
    assert isinstance(found, Diagnosis)
    assert found.reason == "slow"
