"""For ``manage.py test``: databases of the run's own, beside those that Django makes.

TEST_RUNNER = "datalayer.contrib.django.test.DataLayerTestRunner"
"""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, cast

import pymongo
from django.core.management.base import CommandError
from django.test import runner as django_runner
from django.test.runner import DiscoverRunner, ParallelTestSuite
from django.test.utils import override_settings

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.django.connecting import connect
from datalayer.contrib.django.redaction import concealed
from datalayer.contrib.django.settings import given_in_django
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import prefix_of
from datalayer.settings.sources import gather, read_aliases
from datalayer.settings.uri import parse, with_database

_FOR_WORKERS = "_DATALAYER_DJANGO_TESTS"
"""Tells the processes of ``--parallel`` where to make their databases."""
_DROP_SECONDS = 10.0
_FLUSH_SECONDS = 10.0


class EmptyDatabasesMixin:
    """Put before a ``TestCase``: each test begins with empty collections.

    All documents of all connected databases are deleted before each test, those that
    ``setUpTestData`` made too; indexes stay. Where ``setUp`` is overridden, it has to call
    ``super().setUp()`` first. Refuses to work in databases that the test runner did not make.
    """

    def setUp(self) -> None:
        """Empty the databases."""
        empty_databases()
        cast(Any, super()).setUp()


class _ParallelTestSuite(ParallelTestSuite):
    """Gives each process of ``--parallel`` databases of its own."""

    def init_worker(*arguments: Any) -> None:
        """Called by Django at the start of each process."""
        base = os.environ[_FOR_WORKERS]
        for name, uri in _uris(base, 0).items():
            # A process that was not forked runs the system checks before its number is known.
            os.environ.setdefault(name, uri)
        django_runner._init_worker(*arguments)
        _settings_for(base, django_runner._worker_id).enable()
        connect()


class DataLayerTestRunnerMixin:
    """Put before a ``DiscoverRunner`` to give it fresh databases.

    They are on a private server, which ends with the run, or with ``--datalayer-uri`` on a
    server of yours; there they are dropped at the end, also with ``--keepdb``, and the database
    that the URI names is not touched. All aliases of ``DATALAYER`` get one, and the other
    settings hold. With ``--parallel``, each process has its own.
    """

    parallel_test_suite = _ParallelTestSuite
    parallel: int

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Declare ``--datalayer-uri``."""
        cast(Any, super()).add_arguments(parser)
        parser.add_argument(
            "--datalayer-uri",
            metavar="URI",
            help="the MongoDB server to test on, instead of a private one; the URI names a "
            "database, which is not touched",
        )

    def __init__(self, *arguments: Any, datalayer_uri: str | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._external = datalayer_uri
        self._at_the_end = ExitStack()
        if datalayer_uri is not None:
            _on_server(datalayer_uri, "datalayer_test")  # complains now, before anything starts

    def setup_databases(self, **options: Any) -> Any:
        """Make the databases, beside those of Django's ORM."""
        old = cast(Any, super()).setup_databases(**options)
        try:
            self._connect()
        except BaseException:
            self.teardown_databases(old)
            raise
        return old

    def teardown_databases(self, old_config: Any, **options: Any) -> None:
        """Close and drop them again."""
        with ExitStack() as both:
            both.callback(cast(Any, super()).teardown_databases, old_config, **options)
            both.callback(self._at_the_end.close)

    def _connect(self) -> None:
        uri = self._external
        if uri is None:
            server = self._at_the_end.enter_context(EmbeddedMongo(in_memory=True, journal=False))
            uri = server.uri_for("test")
        base = _on_server(uri, f"datalayer_test_{secrets.token_hex(6)}")
        workers = range(1, self.parallel + 1) if self.parallel > 1 else [0]
        if self._external is not None:
            self._at_the_end.callback(_drop, [_uris(base, each) for each in workers])
        if self.parallel > 1:
            os.environ[_FOR_WORKERS] = base
            self._at_the_end.callback(os.environ.pop, _FOR_WORKERS)
        # For all that reads the settings during the run, such as the system checks.
        self._at_the_end.enter_context(_settings_for(base, workers[0]))
        if self.parallel <= 1:
            self._at_the_end.callback(db.disconnect_all)
            connect()


class DataLayerTestRunner(DataLayerTestRunnerMixin, DiscoverRunner):
    """Django's test runner, with fresh MongoDB databases."""


def empty_databases() -> None:
    """Delete every document of the databases that the test runner has made.

    Raises:
        RuntimeError: where one of them is another.
    """
    db.recorder.flush(_FLUSH_SECONDS)
    for connection in registry.connections():
        alias, database = connection.alias, connection.database
        if not database.name.startswith("datalayer_test_"):
            raise RuntimeError(
                f"{alias!r} is the database {database.name!r}, which no test runner has made; set "
                'TEST_RUNNER = "datalayer.contrib.django.test.DataLayerTestRunner"'
            )
        for each in database.list_collections(filter={"type": {"$ne": "view"}}):
            if not each["name"].startswith("system."):
                database[each["name"]].delete_many({})


def _settings_for(base: str, worker: int) -> override_settings:
    """Django's settings with the databases of one process of the run."""
    return override_settings(DATALAYER=concealed(given_in_django() | _uris(base, worker)))


def _uris(base: str, worker: int) -> dict[str, str]:
    """The variables that point each alias to a database of the worker's own."""
    parsed, _ = parse(base)
    assert parsed is not None  # noqa: S101 - was parsed before
    given = gather(None, given_in_django())
    further = given.get("DATALAYER_ALIASES")
    aliases = ("default", "database1", *(read_aliases(further.text, []) if further else ()))
    names = {each: f"{parsed.database}_{worker}_{each.replace('.', '-')}" for each in aliases}
    return {
        f"{prefix_of(each)}URI": with_database(parsed, name).text for each, name in names.items()
    }


def _on_server(uri: str, database: str) -> str:
    parsed, problems = parse(uri)
    if parsed is None or parsed.kind != "mongodb":
        reasons = "; ".join(problems) or "it takes a mongodb:// or mongodb+srv:// URI"
        raise CommandError(f"--datalayer-uri {reasons}")
    return with_database(parsed, database).text


def _drop(databases: list[Mapping[str, str]]) -> None:
    for uri in (uri for uris in databases for uri in uris.values()):
        with pymongo.MongoClient[dict[str, object]](uri) as client, pymongo.timeout(_DROP_SECONDS):
            client.drop_database(client.get_default_database())
