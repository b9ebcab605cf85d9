"""What connecting does when a server is away, says no, or is another than was meant: each failure
is told apart, in time, and nothing is tried that can't help."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from credentials import APP_USER
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import StringField
from pymongo import MongoClient, common
from waiting import wait_until

from datalayer import db
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConnectError,
    IndexBuildError,
    NotConnectedError,
    UnavailableError,
)
from datalayer.service.connecting import verify
from datalayer.settings import Settings

PASSWORD = "canary-of-connecting"  # of every user that the tests make


class Order(Document):
    number = StringField(unique=True)


class Visit(Document):
    page = StringField(unique=True)
    meta = {"db_alias": "database1"}


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Order, Visit):
        yield


@pytest.fixture
def proxy(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy
        db.disconnect_all()


def connect(uri: str, **options: Any) -> None:
    """Connect a required database that gets two seconds, with an optional one beside it."""
    options = {"server_selection_timeout_ms": 300, "retry_max_seconds": 2.0, **options}
    databases = {"default": {"uri": uri, **options}, "database1": "mongomock://numbers"}
    db.connect_all(Settings(databases=databases))


def connect_optional(uri: str, other: str, **options: Any) -> None:
    """Connect an optional database that is given up at once, beside a required one."""
    uri += "&heartbeatFrequencyMS=500"
    options = {"server_selection_timeout_ms": 200, "retry_attempts": 1, **options}
    db.connect_all(Settings(databases={"default": other, "database1": {"uri": uri, **options}}))


def failure_of(kind: type[ConnectError], connecting: Callable[[], object]) -> ConnectError:
    """The error that connecting ends in, by its total deadline: the attempts that it may make
    would take longer than a test may."""
    with pytest.raises(kind) as caught:
        connecting()
    assert type(caught.value) is kind
    assert (db.database.state, db.database1.state) == ("disconnected", "disconnected")
    return caught.value


# A server that is down


@pytest.mark.parametrize("deadline", [0.5, 1.5])
def test_a_server_that_stays_down_is_told_within_the_deadline(
    mongod: EmbeddedMongo, proxy: FaultyProxy, deadline: float
) -> None:
    proxy.refuse()
    uri = proxy.uri_for("shop")
    error = failure_of(
        ConnectError,
        lambda: connect(uri, retry_attempts=100, retry_max_seconds=deadline),
    )
    assert error.reason == "refused"


@pytest.mark.usefixtures("pauses_of_the_driver")
def test_no_attempt_begins_at_the_very_end(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver would look for a server for half a second after the deadline."""
    monkeypatch.setattr("random.uniform", lambda shortest, longest: longest)
    verified: list[float] = []

    def count(connection: Connection, timeout_seconds: float) -> float:
        if connection.alias == "default":
            verified.append(timeout_seconds)
        return verify(connection, timeout_seconds)

    monkeypatch.setattr("datalayer.service.connecting.verify", count)
    proxy.refuse()
    with pytest.raises(ConnectError):
        # The first attempt takes 0.5 s and the pause 0.25 s: 0.01 s are left for a second one.
        connect(proxy.uri_for("shop"), retry_attempts=100, retry_max_seconds=0.76)
    assert len(verified) == 1


def test_a_set_without_a_secondary_is_told_where_only_secondaries_may_answer(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    with pytest.raises(ConnectError, match="readPreference") as caught:
        connect(f"{mongod.uri_for(database_name)}&readPreference=secondary")
    assert caught.value.reason == "no_reader"


@pytest.mark.parametrize("preference", ["secondaryPreferred", "nearest", "primaryPreferred"])
def test_a_set_without_a_secondary_is_enough_where_the_primary_may_answer(
    mongod: EmbeddedMongo, database_name: str, preference: str
) -> None:
    connect(f"{mongod.uri_for(database_name)}&readPreference={preference}")
    assert db.database.is_connected


def test_a_server_that_starts_during_the_retries_is_connected(database_name: str) -> None:
    with EmbeddedMongo(in_memory=True, journal=False) as server:
        server.kill(0)
        starting = threading.Thread(target=server.start)
        with told("retry", starting.start):
            connect(server.uri_for(database_name), retry_attempts=100, retry_max_seconds=20)
        starting.join()
        assert Order(number="1").save().pk
        db.disconnect_all()


def test_a_server_that_starts_after_the_retries_is_connected_by_the_next_call(
    proxy: FaultyProxy, database_name: str
) -> None:
    proxy.refuse()
    with pytest.raises(ConnectError):
        connect(proxy.uri_for(database_name))
    proxy.restore()
    connect(proxy.uri_for(database_name))
    assert Order(number="1").save().pk


def test_an_optional_database_joins_by_itself_with_its_indexes(
    mongod: EmbeddedMongo, proxy: FaultyProxy, database_name: str
) -> None:
    proxy.refuse()
    connect_optional(proxy.uri_for(f"{database_name}_1"), mongod.uri_for(database_name))
    assert Order(number="1").save().pk
    with pytest.raises(UnavailableError):
        Visit(page="/").save()
    proxy.restore()
    wait_until(lambda: registry.connection("database1").connected_since, 15, "it joins")
    assert Visit(page="/").save().pk
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        indexes = client[f"{database_name}_1"].visit.index_information()
    assert indexes["page_1"]["unique"]


# A server that refuses the user


PLACE = "test_connect_failures"


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "auth_mongod" in request.fixturenames:
        with MongoClient[dict[str, Any]](request.getfixturevalue("auth_mongod").uri) as client:
            for database in (PLACE, "other"):
                client[database].command("dropAllUsersFromDatabase")
                client.drop_database(database)


def uri_of(server: EmbeddedMongo, user: str, password: str, options: str = "") -> str:
    return f"mongodb://{user}:{password}@{server.hosts[0]}/{PLACE}?{options}"


def user_in(server: EmbeddedMongo, database: str, *roles: str) -> str:
    """A new user; its name."""
    with MongoClient[dict[str, Any]](server.uri) as client:
        name = f"user_{time.monotonic_ns()}"
        client[database].command("createUser", name, pwd=PASSWORD, roles=list(roles))
    return name


@contextmanager
def attempts(server: EmbeddedMongo) -> Iterator[dict[str, int]]:
    """How often somebody tried to log in meanwhile, as the server counts it."""
    with MongoClient[dict[str, Any]](server.uri) as client:

        def counted() -> dict[str, int]:
            security = client.admin.command("serverStatus")["security"]["authentication"]
            return security["mechanisms"]["SCRAM-SHA-256"]["authenticate"]

        before, found = counted(), dict[str, int]()
        yield found
        found.update({name: number - before[name] for name, number in counted().items()})


WRONG: dict[str, Callable[[EmbeddedMongo], str]] = {
    "password": lambda server: uri_of(server, APP_USER[0], PASSWORD, "authSource=admin"),
    "authSource": lambda server: uri_of(
        server, user_in(server, PLACE, "readWrite"), PASSWORD, "authSource=other"
    ),
    "user": lambda server: uri_of(server, "nobody", PASSWORD),
}
POWERLESS: dict[str, Callable[[EmbeddedMongo], str]] = {
    "no role": lambda server: uri_of(server, user_in(server, PLACE), PASSWORD),
    "a role elsewhere": lambda server: uri_of(
        server, user_in(server, "other", "readWrite"), PASSWORD, "authSource=other"
    ),
}


@pytest.fixture
def eager_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver fills its pools all the time, rather than once a second."""
    monkeypatch.setattr(common, "KILL_CURSOR_FREQUENCY", 0)
    monkeypatch.setattr(common, "MIN_HEARTBEAT_INTERVAL", 0.001)


@pytest.mark.usefixtures("eager_driver")
@pytest.mark.parametrize("alias", ["default", "database1"])
@pytest.mark.parametrize("wrong", WRONG)
def test_refused_credentials_are_tried_once_and_told_at_once(
    auth_mongod: EmbeddedMongo, wrong: str, alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = check_it_is_refused_at_once(auth_mongod, WRONG[wrong](auth_mongod), alias, caplog)
    assert sent == 1


@pytest.mark.parametrize("alias", ["default", "database1"])
@pytest.mark.parametrize("powerless", POWERLESS)
def test_a_user_that_may_do_nothing_is_told_so_at_once(
    auth_mongod: EmbeddedMongo, powerless: str, alias: str, caplog: pytest.LogCaptureFixture
) -> None:
    check_it_is_refused_at_once(auth_mongod, POWERLESS[powerless](auth_mongod), alias, caplog)


def check_it_is_refused_at_once(
    server: EmbeddedMongo, uri: str, alias: str, caplog: pytest.LogCaptureFixture
) -> int:
    """Gives how often credentials were sent. Those that are accepted the driver may send again
    meanwhile, to fill its pool."""
    databases: dict[str, Any] = {"default": "mongomock://shop", "database1": "mongomock://numbers"}
    databases[alias] = {"uri": uri, "min_pool_size": 5, "retry_attempts": 20}
    with attempts(server) as made, caplog.at_level(logging.INFO, "datalayer"):
        error = failure_of(
            AuthenticationError, lambda: db.connect_all(Settings(databases=databases))
        )
    assert error.reason == "rejected"
    assert [r for r in caplog.records if vars(r).get("event") == "retry"] == []
    assert PASSWORD not in caplog.text + str(error)
    return made["received"]


def test_a_user_without_a_role_is_told_what_to_grant(auth_mongod: EmbeddedMongo) -> None:
    name = user_in(auth_mongod, PLACE)
    with pytest.raises(AuthenticationError, match="grant it readWrite") as caught:
        connect(uri_of(auth_mongod, name, PASSWORD))
    assert f"may do nothing in the database {PLACE!r}" in str(caught.value)
    assert name not in str(caught.value)


def test_a_uri_without_credentials_is_told_that_the_server_wants_some(
    auth_mongod: EmbeddedMongo,
) -> None:
    with pytest.raises(AuthenticationError, match="the URI holds none"):
        connect(f"mongodb://{auth_mongod.hosts[0]}/shop")


def test_a_user_that_may_only_read_is_told_when_the_indexes_are_built(
    auth_mongod: EmbeddedMongo,
) -> None:
    uri = uri_of(auth_mongod, user_in(auth_mongod, PLACE, "read"), PASSWORD)
    with pytest.raises(IndexBuildError, match="may not create indexes for 'order'"):
        connect(uri)


def test_a_user_that_may_only_read_reads_and_is_refused_when_it_writes(
    auth_mongod: EmbeddedMongo,
) -> None:
    uri = uri_of(auth_mongod, user_in(auth_mongod, PLACE, "read"), PASSWORD)
    connect(uri, auto_index=False, auto_create=False)
    assert Order.objects(number="1").first() is None
    with pytest.raises(AuthenticationError, match="the user may not do that") as caught:
        Order(number="canary-of-a-document").save()
    assert "insert_one on order of 'default'" in str(caught.value)


def test_a_password_that_changes_while_connected_is_told_and_not_tried_in_the_background(
    auth_mongod: EmbeddedMongo,
) -> None:
    name = user_in(auth_mongod, PLACE, "readWrite")
    connect(uri_of(auth_mongod, name, PASSWORD, "heartbeatFrequencyMS=500"), min_pool_size=5)
    with MongoClient[dict[str, Any]](auth_mongod.uri) as client:
        client[PLACE].command("updateUser", name, pwd=f"{PASSWORD}-new")
    for server in registry.connection().client._topology._servers.values():
        server.pool.reset()  # as after a fail-over: all connections are made anew
        server.pool.ready()
    with pytest.raises(AuthenticationError, match="does not accept the credentials any more"):
        Order.objects.first()
    # The driver takes the server for gone until its next heartbeat.
    wait_until(lambda: db.database.is_connected, 60, "the monitoring sees the server")
    with attempts(auth_mongod) as made:
        for _ in range(20):
            registry.connection().client._process_periodic_tasks()
    assert made["received"] == 0


def test_an_optional_database_that_comes_back_and_says_no_is_tried_once(
    mongod: EmbeddedMongo, auth_mongod: EmbeddedMongo, database_name: str, monkeypatch: Any
) -> None:
    with FaultyProxy(auth_mongod.hosts[0]) as proxy:
        proxy.refuse()
        uri = f"mongodb://app:{PASSWORD}@127.0.0.1:{proxy.port}/shop?authSource=admin"
        connect_optional(f"{uri}&directConnection=true", mongod.uri_for(database_name))
        with attempts(auth_mongod) as made, told("refused", lambda: None) as refused:
            proxy.restore()
            assert refused.wait(60)
            wait_until(lambda: db.database1.state == "disconnected", 60, "it is closed")
        assert made["received"] == 1
        assert "refused the credentials" in db.status()["database1"]["last_error"]
        with pytest.raises(NotConnectedError):
            Visit(page="/").save()
        with pytest.raises(AuthenticationError):  # whoever connects again is told again
            db.connect_all(None)


# A server that is another than was meant


@pytest.fixture(params=["unknown_host", "timeout", "tls", "replica_set"])
def mistaken(
    request: pytest.FixtureRequest, mongod: EmbeddedMongo, silent_port: int
) -> tuple[str, str]:
    """A URI that leads to the wrong place, and what the error has to say about it."""
    (host,) = mongod.hosts
    uri, says = {
        "unknown_host": ("mongodb://no-such-host.invalid/shop", "does not resolve"),
        "timeout": (f"mongodb://127.0.0.1:{silent_port}/shop", "does not answer"),
        "tls": (f"mongodb://{host}/shop?tls=true", "TLS handshake fails"),
        "replica_set": (f"mongodb://{host}/shop?replicaSet=other", "another replica set"),
    }[request.param]
    return uri, says


@pytest.mark.parametrize("direct", [False, True], ids=["discovering", "direct"])
def test_the_error_says_which_mistake_it_was_within_the_deadline(
    request: pytest.FixtureRequest, mistaken: tuple[str, str], direct: bool
) -> None:
    uri, says = mistaken
    if direct:
        uri += ("&" if "?" in uri else "?") + "directConnection=true"
    error = failure_of(
        ConnectError,
        lambda: connect(uri, retry_max_seconds=1.0, retry_attempts=100),
    )
    assert error.reason in request.node.name
    assert says in str(error)


def test_tls_is_never_given_up(mongod: EmbeddedMongo) -> None:
    """Every byte that reaches a plain server begins a TLS handshake."""
    with Listening() as server:
        uri = f"mongodb://joe:{PASSWORD}@127.0.0.1:{server.port}/shop?tls=true"
        with pytest.raises(ConnectError):
            connect(uri, retry_max_seconds=1.0)
        firsts = {data[:1] for data in server.received}
    assert firsts == {b"\x16"}  # the record type "handshake"


class Listening:
    """A plain server that notes what each client says first, and hangs up."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Listening:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(60)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:  # it was closed
                return
            with client:
                client.settimeout(2)
                self.received.append(client.recv(64))


@contextmanager
def told(event: str, then: Any) -> Iterator[threading.Event]:
    """Call ``then`` at the first log record of datalayer's with this event."""
    happened = threading.Event()

    class Once(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if vars(record).get("event") == event and not happened.is_set():
                happened.set()
                then()

    handler = Once(logging.WARNING)
    logger = logging.getLogger("datalayer")
    logger.addHandler(handler)
    try:
        yield happened
    finally:
        logger.removeHandler(handler)
