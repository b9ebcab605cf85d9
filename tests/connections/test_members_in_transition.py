"""Members that start, recover or have just been elected are neither primary nor secondary for a
moment. What was opened to one at that moment works like anything else when the moment is over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField
from observing import error_of
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from simulated_router import Command, SimulatedRouter
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import TransactionError, UnavailableError
from datalayer.failures.server_codes import ServerCode
from datalayer.settings import Settings


class Parcel(Document):
    number = IntField()


class Scan(Document):
    number = IntField()
    meta = {"db_alias": "database1"}


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Parcel, Scan):
        yield


@contextlib.contextmanager
def recovering(host: str) -> Iterator[None]:
    """A secondary that says it is neither that nor primary, as each does while it recovers."""
    with MongoClient[Any](host, directConnection=True) as member:
        member.admin.command("replSetMaintenance", True)
        try:
            yield
        finally:
            member.admin.command("replSetMaintenance", False)
            wait_until(lambda: member.admin.command("hello")["secondary"], 30, "it is back")


def step_up(host: str) -> None:
    with MongoClient[Any](host, directConnection=True) as member:

        def is_primary() -> bool:
            with contextlib.suppress(OperationFailure):  # it lost, or has not caught up
                member.admin.command("replSetStepUp")
            return bool(member.admin.command("hello")["isWritablePrimary"])

        wait_until(is_primary, 60, "it is elected")


def pool_of(host: str) -> Any:
    name, _, port = host.rpartition(":")
    return registry.connection().client._topology._servers[name, int(port)].pool


def in_a_transaction() -> None:
    with db.transaction():
        Parcel(number=1).save()


def in_a_session() -> None:
    with db.session():
        Parcel(number=1).save()
        assert Parcel.objects.count() >= 1


def through_the_outbox() -> None:
    with db.transaction():
        db.outbox.add(Scan(number=1), key="1")


SESSIONS: dict[str, Callable[[], None]] = {
    "transaction": in_a_transaction,
    "session": in_a_session,
    "outbox": through_the_outbox,
}


def test_what_was_opened_to_a_member_before_it_became_the_primary_has_sessions(
    replset: EmbeddedMongo,
) -> None:
    with connected(settings_for(replset)):
        Parcel(number=0).save()
        next_primary = replset.hosts[(replset.primary + 1) % 3]
        pool = pool_of(next_primary)
        with recovering(next_primary):
            pool.conns.extend([pool.connect(), pool.connect()])  # as in the background
        step_up(next_primary)
        wait_until(lambda: db.get("default").client.address == pool.address)
        for use in SESSIONS.values():
            assert error_of(use) is None


@pytest.fixture
def handshakes(
    request: pytest.FixtureRequest, mongod: EmbeddedMongo
) -> Iterator[Callable[[], None]]:
    """Makes the open connections what a handshake at a bad moment makes them: the driver takes
    them for such without sessions; ``None`` where that handshake told no time-out of sessions."""
    minutes: int | None = request.param

    def spoil() -> None:
        for server in registry.connection().client._topology._servers.values():
            for connection in server.pool.conns:
                connection.supports_sessions = False
                connection.logical_session_timeout_minutes = minutes

    with connected(settings_for(mongod)):
        Parcel(number=0).save()
        in_a_transaction()
        yield spoil


@pytest.mark.parametrize("handshakes", [30, None], indirect=True)
@pytest.mark.parametrize("use", SESSIONS)
def test_sessions_work_over_connections_from_a_bad_moment(
    handshakes: Callable[[], None], use: str
) -> None:
    handshakes()
    assert error_of(SESSIONS[use]) is None


@pytest.mark.parametrize("handshakes", [30, None], indirect=True)
def test_writes_over_connections_from_a_bad_moment_are_tried_again(
    handshakes: Callable[[], None], mongod: EmbeddedMongo
) -> None:
    handshakes()
    with MongoClient[Any](mongod.uri) as client:
        data = {
            "failCommands": ["insert"],
            "closeConnection": True,
            "appName": "datalayer:default",
        }
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)
    Parcel(number=7).save()
    assert Parcel.objects(number=7).count() == 1


@db.transactional
def in_a_transaction_that_may_run_again() -> None:
    Parcel(number=1).save()


@pytest.mark.parametrize("handshakes", [30, None], indirect=True)
@pytest.mark.parametrize("use", [in_a_session, in_a_transaction_that_may_run_again])
def test_a_member_that_is_still_in_transition_is_waited_out(
    handshakes: Callable[[], None], mongod: EmbeddedMongo, use: Callable[[], None]
) -> None:
    handshakes()
    data = {
        "failCommands": ["insert", "find", "aggregate"],
        "errorCode": ServerCode.NotPrimaryOrSecondary,
        "appName": "datalayer:default",
    }
    with MongoClient[Any](mongod.uri) as client:
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=data)
    assert error_of(use) is None


class WithoutSessions(SimulatedRouter):
    """Says in each handshake that it has none, as servers that imitate MongoDB may."""

    def _hello(self, command: Command) -> dict[str, Any]:
        return {**super()._hello(command), "logicalSessionTimeoutMinutes": None}

    _ismaster = _hello


@pytest.mark.parametrize("use", [in_a_transaction, in_a_session])
def test_a_server_without_sessions_is_told_from_one_in_transition(use: Callable[[], None]) -> None:
    with WithoutSessions() as router:
        settings = {"uri": router.uri, "auto_index": False, "auto_create": False}
        with db.connected(Settings(databases={"default": settings})):
            error = error_of(use)
    assert isinstance(error, TransactionError)
    assert "the server has no sessions" in str(error)


@pytest.mark.parametrize("known", [True, False], ids=["indexes_known", "indexes_to_be_looked_at"])
def test_a_transaction_that_can_not_begin_says_that_the_server_is_away(
    mongod: EmbeddedMongo, database_name: str, known: bool
) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        uri = proxy.uri_for(database_name)
        with db.connected(Settings(databases={"default": uri})):
            in_a_transaction()
            prepared = registry.connection().built_indexes
            prepared.stands_since = None
            if not known:
                prepared.forget(None)
            proxy.refuse()
            with db.deadline(0.5):
                assert isinstance(error_of(in_a_transaction), UnavailableError)
