"""What counts against an optional database's health, and what doesn't: a caller's own deadline, a
connection that broke, a read preference that no member meets. A server that hangs is found out
however little time its callers give it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import bson.errors
import pymongo
import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import IntField
from observing import error_of
from pymongo import MongoClient
from waiting import wait_until

from datalayer import db
from datalayer.connections import breaker_evidence
from datalayer.connections.breaker import FAILURES_TO_OPEN, CircuitBreaker
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    OutcomeUnknownError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.settings import Settings

CALLS = FAILURES_TO_OPEN + 1
SHORT_SECONDS = 0.02
SLOW_MS = 100


class Glance(Document):
    number = IntField()
    meta = {"db_alias": "database1"}


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Glance):
        yield


@contextlib.contextmanager
def connected(mongod: EmbeddedMongo, uri: str, **options: Any) -> Iterator[CircuitBreaker]:
    """An optional database that works; gives its circuit breaker."""
    databases = {"default": mongod.uri_for("unused"), "database1": {"uri": uri, **options}}
    with db.connected(Settings(databases=databases)):
        with db.deadline(60):  # whatever the options say
            Glance(number=0).save()
        breaker = registry.connection("database1").breaker
        assert breaker is not None
        yield breaker
        wait_until(lambda: not being_asked())


def being_asked() -> bool:
    return any(each.name == "datalayer-ask-database1" for each in threading.enumerate())


@contextlib.contextmanager
def failing(mongod: EmbeddedMongo, *commands: str, **how: Any) -> Iterator[None]:
    """Has these commands of ``database1`` fail or wait; all others, pings too, are well."""
    with MongoClient[Any](mongod.uri) as client:
        data = {"failCommands": commands, "appName": "datalayer:database1", **how}
        client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
        try:
            yield
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")


def slow(mongod: EmbeddedMongo) -> contextlib.AbstractContextManager[None]:
    return failing(mongod, "find", "insert", blockConnection=True, blockTimeMS=SLOW_MS)


def read_with_a_deadline() -> None:
    with db.deadline(SHORT_SECONDS):
        Glance.objects.first()


def read_with_the_drivers_deadline() -> None:
    with pymongo.timeout(SHORT_SECONDS):
        Glance.objects.first()


def read_with_a_time_limit() -> None:
    Glance.objects.max_time_ms(int(SHORT_SECONDS * 1000)).first()


def read_in_a_transaction() -> None:
    with db.transaction("database1", timeout=SHORT_SECONDS):
        Glance.objects.first()


def write_with_a_deadline() -> None:
    with db.deadline(SHORT_SECONDS):
        Glance(number=1).save()


@pytest.mark.parametrize(
    "call",
    [
        read_with_a_deadline,
        read_with_the_drivers_deadline,
        read_with_a_time_limit,
        read_in_a_transaction,
        write_with_a_deadline,
    ],
)
def test_short_deadlines_do_not_shut_a_database_that_is_well(
    mongod: EmbeddedMongo, uri: str, call: Callable[[], None]
) -> None:
    with connected(mongod, uri) as breaker:
        with slow(mongod):
            for _ in range(CALLS):
                assert error_of(call) is not None
                assert breaker.state == "closed"
        wait_until(lambda: not being_asked())
        assert breaker.state == "closed"
        assert Glance.objects.first() is not None


def test_connections_that_break_do_not_shut_a_database_that_is_well(
    mongod: EmbeddedMongo, uri: str
) -> None:
    with connected(mongod, uri) as breaker:
        with failing(mongod, "update", closeConnection=True):
            for _ in range(CALLS):
                error = error_of(lambda: Glance.objects.update(set__number=1))
                assert isinstance(error, OutcomeUnknownError)
                assert breaker.state == "closed"
        wait_until(lambda: not being_asked())
        assert Glance.objects.update(set__number=2) == 1


def test_a_read_preference_that_no_member_meets_does_not_shut_a_database(
    mongod: EmbeddedMongo, uri: str
) -> None:
    with connected(mongod, uri, operation_timeout_ms=SLOW_MS) as breaker:
        for _ in range(CALLS):
            with db.read_from("secondary", "database1"):
                assert isinstance(error_of(Glance.objects.first), UnavailableError)
        assert breaker.state == "closed"
        with db.deadline(60):
            assert Glance.objects.first() is not None


def test_a_pool_that_its_own_load_exhausts_does_not_shut_a_database(
    mongod: EmbeddedMongo, uri: str
) -> None:
    with (
        connected(
            mongod, uri, max_pool_size=1, min_pool_size=0, wait_queue_timeout_ms=20
        ) as breaker,
        registry.connection("database1").client._checkout(
            registry.connection("database1").client._topology.select_server(
                lambda selection: selection, "holding the only connection"
            ),
            None,
        ),
    ):
        for _ in range(CALLS):
            assert isinstance(error_of(Glance.objects.first), PoolExhaustedError)
        assert breaker.state == "closed"


def test_calls_without_an_answer_in_the_configured_time_shut_it(
    mongod: EmbeddedMongo, uri: str
) -> None:
    with connected(mongod, uri, operation_timeout_ms=SLOW_MS) as breaker:
        with failing(mongod, "find", blockConnection=True, blockTimeMS=3 * SLOW_MS):
            for _ in range(FAILURES_TO_OPEN):
                assert error_of(Glance.objects.first) is not None
        assert breaker.state == "open"
        assert isinstance(error_of(Glance.objects.first), UnavailableError)


@pytest.mark.parametrize(
    "what", ["network", pytest.param("server", marks=pytest.mark.stops_processes)]
)
def test_a_server_that_hangs_is_found_out_by_callers_with_short_deadlines(
    mongod: EmbeddedMongo, database_name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the driver's monitoring misses its heartbeat."""
    monkeypatch.setattr(breaker_evidence, "ANSWER_SECONDS", 0.3)
    with (
        FaultyProxy(mongod.hosts[0]) as proxy,
        connected(mongod, proxy.uri_for(database_name)) as breaker,
    ):
        proxy.hang() if what == "network" else mongod.pause(0)
        try:
            for _ in range(FAILURES_TO_OPEN):
                assert error_of(read_with_a_deadline) is not None
            wait_until(lambda: breaker.state == "open")
            assert not breaker._away, "it was the question, and not the monitoring"
            assert isinstance(error_of(Glance.objects.first), UnavailableError)
        finally:
            proxy.restore()
            mongod.resume(0)
        breaker._try_again_at = 0.0  # the cool-down is over
        wait_until(lambda: error_of(Glance.objects.first) is None)
        assert breaker.state == "closed"


def test_a_try_that_ends_by_an_error_of_its_own_leaves_it_to_the_next(
    mongod: EmbeddedMongo, uri: str
) -> None:
    with connected(mongod, uri) as breaker:
        for _ in range(FAILURES_TO_OPEN):
            breaker.failed()
        breaker._try_again_at = 0.0  # the cool-down is over
        with pytest.raises(bson.errors.InvalidDocument):
            Glance._get_collection().find_one({"number": object()})
        assert breaker.state == "open"
        assert Glance.objects.first() is not None
        assert breaker.state == "closed"


def test_a_transaction_that_asks_nothing_is_no_sign_of_health(
    mongod: EmbeddedMongo, uri: str
) -> None:
    with connected(mongod, uri) as breaker:
        with db.transaction("database1"):
            Glance.objects.first()
        for _ in range(FAILURES_TO_OPEN):
            breaker.failed()
        breaker._try_again_at = 0.0  # the cool-down is over
        with db.transaction("database1"):
            assert breaker.state == "open"
            assert Glance.objects.first() is not None
        assert breaker.state == "closed"


def test_where_no_thread_can_be_started_the_caller_gets_its_own_error(
    mongod: EmbeddedMongo, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with connected(mongod, uri) as breaker, slow(mongod):
        monkeypatch.setattr(threading.Thread, "start", refuse)
        for _ in range(CALLS):
            assert error_of(read_with_the_drivers_deadline) is not None
        monkeypatch.undo()
        assert breaker.state == "closed"
