"""Real servers for the whole suite, and a fresh database for each test.

A server starts when the first test asks for it and lives until the end of the run.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import ports
import pytest
from canaries import Guard
from credentials import APP_USER
from fresh_databases import disconnect_all_but_kept
from places import CAREFUL, PLAIN, Place
from pymongo import MongoClient
from shared_servers import shared_server

from datalayer.embedded import EmbeddedMongo

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs with Ctrl-C ignored, and their children inherit that;
    # tests that interrupt a child need the usual way.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests don't see each other as workers of one application. Those that want workers name a place.
os.environ["DATALAYER_WORKERS_DIRECTORY"] = "off"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """``-n auto``: twice as many as there are processors, as many tests wait for servers; no more
    than eight, as each worker has servers of its own."""
    return min(2 * (os.cpu_count() or 1), 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist_scheduler import ByServers  # needs xdist, which may be missing

    return ByServers(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def guarded_logs() -> Iterator[Guard]:
    """The whole suite logs at DEBUG, and what it logs is searched for canaries."""
    logger = logging.getLogger("datalayer")
    guard, before = Guard(), logger.level
    logger.addHandler(guard)
    logger.setLevel(logging.DEBUG)
    yield guard
    logger.removeHandler(guard)
    logger.setLevel(before)


@pytest.fixture(autouse=True)
def no_secret_is_logged(guarded_logs: Guard) -> Iterator[None]:
    """No log line of datalayer's holds a password or a document's value, in any test; and none
    leaves the logging configured in another way, so that the guard goes on seeing all."""
    logger = logging.getLogger("datalayer")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])  # forgets what it remembered of the other level, too
    assert guarded_logs.taken() == []


@pytest.fixture(scope="session", autouse=True)
def servers_are_looked_at_often() -> Iterator[None]:
    """After a fault the driver leaves half a second between two looks at a server, and its
    monitor hears of the fault within another half, whatever the options say; hundreds of tests
    would wait for it. PyMongo's own tests shorten the former, too."""
    with pytest.MonkeyPatch.context() as patch:
        set_pauses(patch, 0.1)
        yield


@pytest.fixture
def pauses_of_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own, for tests of what depends on them."""
    set_pauses(monkeypatch, 0.5)


def set_pauses(patch: pytest.MonkeyPatch, seconds: float) -> None:
    patch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", seconds)
    patch.setattr("pymongo.network_layer._POLL_TIMEOUT", seconds, raising=False)


@pytest.fixture(scope="session")
def mongod() -> Iterator[EmbeddedMongo]:
    """One server, which takes ``failCommand`` and the other test commands."""
    with shared_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_replset() -> Iterator[EmbeddedMongo]:
    with shared_server(3) as servers:
        yield servers


@pytest.fixture
def replset(shared_replset: EmbeddedMongo) -> Iterator[EmbeddedMongo]:
    """Three servers. A test may kill and pause them: all are brought back after it."""
    yield shared_replset
    shared_replset.start()
    shared_replset.wait_for_primary()


@pytest.fixture(scope="session")
def auth_mongod() -> Iterator[EmbeddedMongo]:
    """One server with access control; its user is ``APP_USER``."""
    with shared_server(auth=APP_USER) as server:
        yield server


@pytest.fixture(
    scope="module",
    params=[
        ("mongod", PLAIN),
        ("mongod", CAREFUL),
        ("shared_replset", PLAIN),
        ("shared_replset", CAREFUL),
    ],
    ids=["one_member", "one_member_careful", "three_members", "three_members_careful"],
)
def place(request: pytest.FixtureRequest) -> Place:
    """One server or three, and URIs without options or with those that touch transactions."""
    servers, options = request.param
    return Place(request.getfixturevalue(servers), options)


@pytest.fixture
def short_lived_transactions(place: Place) -> Iterator[None]:
    """A killed process's transaction is dropped after two seconds, rather than a minute."""
    with MongoClient[dict[str, object]](place.uri) as client:
        client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=2)
        yield
        # What is left of them now: the server would look for it again after half a minute.
        client.admin.command("killAllSessions", [])
        client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=60)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections."""
    with ports.closed() as port:
        yield port


@pytest.fixture
def silent_server() -> Iterator[ports.SilentServer]:
    with ports.SilentServer() as server:
        yield server


@pytest.fixture
def silent_port(silent_server: ports.SilentServer) -> int:
    """A port that accepts connections and never answers."""
    return silent_server.port


@pytest.fixture
def database_name(mongod: EmbeddedMongo) -> Iterator[str]:
    """The name of a database on ``mongod`` for one test; it and those whose names begin with
    it are dropped afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    mongod.start()
    with MongoClient[dict[str, object]](mongod.uri) as client:
        for database in client.list_database_names():
            if database.startswith(name):
                client.drop_database(database)


@pytest.fixture
def uri(mongod: EmbeddedMongo, database_name: str) -> str:
    """A URI of ``mongod`` that names a fresh database."""
    return mongod.uri_for(database_name)


@pytest.fixture
def uris(mongod: EmbeddedMongo, database_name: str) -> dict[str, str]:
    """URIs of ``mongod`` that name two fresh databases, as environment variables."""
    return {
        "MONGODB_URI": mongod.uri_for(database_name),
        "DATABASE1_URI": mongod.uri_for(f"{database_name}_1"),
    }


@pytest.fixture(autouse=True)
def disconnected() -> Iterator[None]:
    """No test leaves a connection to the next, unless they share it."""
    yield
    disconnect_all_but_kept()
