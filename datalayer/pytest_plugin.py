"""Pytest fixtures for applications that use datalayer: private servers and fresh databases.

Nothing is imported and no server is started before a test asks for one. With pytest-xdist each
worker has its own servers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from datalayer.embedded import EmbeddedMongo

ALIASES = ("default", "database1")
_DROP_SECONDS = 10.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--datalayer-uri``."""
    parser.getgroup("datalayer").addoption(
        "--datalayer-uri",
        metavar="URI",
        help="the server on which the fixture datalayer_db makes its databases, instead of a "
        "private one (it names a database, as MONGODB_URI does; that one is not touched)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tell of a bad ``--datalayer-uri`` before any test runs."""
    external = config.getoption("--datalayer-uri")
    if external:
        _on_server(external)


@pytest.fixture(scope="session")
def datalayer_mongod() -> Iterator[EmbeddedMongo]:
    """A private server, for the whole run: a replica set of one member."""
    from datalayer.embedded import EmbeddedMongo

    with EmbeddedMongo(in_memory=True, journal=False) as server:
        yield server


@pytest.fixture(scope="session")
def datalayer_replset() -> Iterator[EmbeddedMongo]:
    """A private replica set of three members, for the whole run.

    A test that kills or pauses members brings them back with ``start()``.
    """
    from datalayer.embedded import EmbeddedMongo

    with EmbeddedMongo(3, in_memory=True) as servers:
        yield servers


@pytest.fixture
def datalayer_aliases() -> Iterable[str]:
    """The aliases that ``datalayer_db`` and ``datalayer_mongomock`` connect.

    To be replaced by a fixture of this name in ``conftest.py`` where the application has others.
    """
    return ALIASES


@pytest.fixture
def datalayer_migrations() -> str:
    """The package or folder of the application's migrations, as ``DATALAYER_MIGRATIONS`` says it.

    To be replaced by a fixture of this name in ``conftest.py`` where that isn't ``migrations``.
    """
    return "migrations"


@pytest.fixture
def datalayer_db(
    request: pytest.FixtureRequest, datalayer_aliases: Iterable[str], datalayer_migrations: str
) -> Iterator[ModuleType]:
    """``datalayer.db``, connected to new databases: ``default``, ``database1``, or those of
    ``datalayer_aliases``.

    They are on ``datalayer_mongod``, or on the server of ``--datalayer-uri``, and are dropped
    when the test has ended. Events that the recorder could not store until then are forgotten.

    No migration is applied. A test of one writes documents as they were, and applies it by
    ``datalayer.migrations``, which finds the files that ``datalayer_migrations`` names.
    """
    from datalayer import db
    from datalayer.settings import Settings

    external = request.config.getoption("--datalayer-uri")
    server = None if external else request.getfixturevalue("datalayer_mongod")
    uri_for = server.uri_for if server else _on_server(external)
    uris = {alias: uri_for(name) for alias, name in _new_names(datalayer_aliases).items()}
    with ExitStack() as at_the_end:
        db.connect_all(Settings(databases=uris, migrations=datalayer_migrations))
        at_the_end.callback(_drop, uris)
        at_the_end.callback(_forget_events)
        at_the_end.callback(db.disconnect_all)
        if server:
            at_the_end.callback(server.start)  # the test may have killed or paused it
        yield db


@pytest.fixture
def datalayer_migrated_db(datalayer_db: ModuleType) -> ModuleType:
    """``datalayer_db``, with all of the application's migrations applied: a test of what the
    application is after them finds the history, and whatever they insert or build.

    A migration that can't be applied, as it needs documents say, is the test's error.
    """
    from datalayer import migrations

    migrations.apply()
    return datalayer_db


@pytest.fixture
def datalayer_mongomock(datalayer_aliases: Iterable[str]) -> Iterator[ModuleType]:
    """``datalayer.db`` over mongomock, in memory and without a server.

    It knows no transactions, no sessions and few commands; ``datalayer_db`` is the real thing.
    """
    from datalayer import db
    from datalayer.settings import Settings

    names = _new_names(datalayer_aliases)
    uris = {alias: f"mongomock://{name}" for alias, name in names.items()}
    with ExitStack() as at_the_end:
        db.connect_all(Settings(databases=uris))
        at_the_end.callback(_forget_events)
        at_the_end.callback(db.disconnect_all)
        yield db


def _new_names(aliases: Iterable[str]) -> dict[str, str]:
    token = secrets.token_hex(6)
    # A dot ends the name of a database.
    return {each: f"datalayer_test_{token}_{each.replace('.', '-')}" for each in aliases}


def _on_server(uri: str) -> Callable[[str], str]:
    from datalayer.settings.uri import parse, with_database

    parsed, problems = parse(uri)
    if parsed is None or parsed.kind != "mongodb":
        reasons = "; ".join(problems) or "it takes a mongodb:// or mongodb+srv:// URI"
        raise pytest.UsageError(f"--datalayer-uri: {reasons}")
    return lambda name: with_database(parsed, name).text


def _forget_events() -> None:
    """What the test recorded and could not store, with a database away say: the next test would
    find it in its own."""
    from datalayer import recorder

    if recorder.stats()["waiting"]:
        recorder.default.discard()


def _drop(uris: Mapping[str, str]) -> None:
    __tracebackhide__ = True  # a traceback would show the URIs and with them the password
    # With a client of its own: the test may have disconnected datalayer, or pointed it elsewhere.
    import pymongo

    for uri in uris.values():
        with pymongo.MongoClient[dict[str, object]](uri) as client, pymongo.timeout(_DROP_SECONDS):
            client.drop_database(client.get_default_database())
