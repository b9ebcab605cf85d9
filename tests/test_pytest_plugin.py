"""The plugin's fixtures, in this test run and in runs of their own."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer import migrations
from datalayer.embedded import EmbeddedMongo
from datalayer.models import AnalyticsEvent
from datalayer.service.service import DatabaseService

pytest_plugins = ["pytester"]


def things_of(service: DatabaseService) -> Collection[dict[str, Any]]:
    things: Collection[dict[str, Any]] = service.client[service.name]["things"]
    return things


# The private server


def test_two_databases_of_the_private_server_are_connected(
    datalayer_db: ModuleType, datalayer_mongod: EmbeddedMongo
) -> None:
    for service in (datalayer_db.database, datalayer_db.database1):
        assert service.is_connected
        assert service.status()["hosts"] == list(datalayer_mongod.hosts)
    assert datalayer_db.database.name != datalayer_db.database1.name


@pytest.mark.parametrize("_time", [1, 2])
def test_each_test_gets_empty_databases(datalayer_db: ModuleType, _time: int) -> None:
    for service in (datalayer_db.database, datalayer_db.database1):
        things_of(service).insert_one({})
        assert things_of(service).count_documents({}) == 1


@pytest.mark.parametrize("_time", [1, 2])
def test_a_test_may_kill_the_private_server(
    datalayer_db: ModuleType, datalayer_mongod: EmbeddedMongo, _time: int
) -> None:
    assert datalayer_db.database.ping() < 5000
    datalayer_mongod.kill(0)


@pytest.mark.parametrize("_time", [1, 2])
def test_a_test_may_disconnect(datalayer_db: ModuleType, _time: int) -> None:
    assert datalayer_db.database.is_connected
    datalayer_db.disconnect_all()


@pytest.mark.parametrize("_time", [1, 2])
def test_events_that_could_not_be_stored_are_not_left_to_the_next_test(
    datalayer_db: ModuleType, _time: int
) -> None:
    assert datalayer_db.recorder.flush(10)
    assert AnalyticsEvent.objects.count() == 0
    datalayer_db.database1.disconnect()
    datalayer_db.recorder.record({"name": "left"}, AnalyticsEvent)


def test_the_replica_set_has_three_members(datalayer_replset: EmbeddedMongo) -> None:
    assert len(datalayer_replset.hosts) == 3
    assert datalayer_replset.primary in (0, 1, 2)


class TestAnApplicationWithFurtherAliases:
    @pytest.fixture
    def datalayer_aliases(self) -> list[str]:
        return ["default", "database1", "archive"]

    @pytest.mark.parametrize("fixture", ["datalayer_db", "datalayer_mongomock"])
    def test_each_of_them_has_a_database(
        self, request: pytest.FixtureRequest, fixture: str
    ) -> None:
        db = request.getfixturevalue(fixture)
        assert set(db.status()) == {"default", "database1", "archive"}
        assert db.get("archive").is_connected


# Mongomock


class TestAnApplicationWithMigrations:
    @pytest.fixture
    def datalayer_migrations(self, tmp_path: Path) -> str:
        files = tmp_path / "changes"
        files.mkdir()
        text = 'def apply(m): m.database()["things"].insert_one({"_id": "made by a migration"})\n'
        (files / "0001_one_thing.py").write_text(text)
        return str(files)

    def test_they_are_applied_to_the_migrated_database(
        self, datalayer_migrated_db: ModuleType
    ) -> None:
        found = things_of(datalayer_migrated_db.database).find()
        assert [each["_id"] for each in found] == ["made by a migration"]
        assert migrations.check().is_current

    def test_the_other_database_is_for_tests_that_apply_them(
        self, datalayer_db: ModuleType
    ) -> None:
        assert migrations.check().pending == ("0001_one_thing",)
        assert [each.name for each in migrations.apply()] == ["0001_one_thing"]


@pytest.mark.parametrize("_time", [1, 2])
def test_mongomock_gives_empty_databases_too(datalayer_mongomock: ModuleType, _time: int) -> None:
    for service in (datalayer_mongomock.database, datalayer_mongomock.database1):
        assert service.status()["uri"].startswith("mongomock://")
        things_of(service).insert_one({})
        assert things_of(service).count_documents({}) == 1


# A server that is given

MODEL = """
import pytest
from datalayer.documents import BusinessDocument
from mongoengine import NotUniqueError, StringField

class Thing(BusinessDocument):
    name = StringField(unique=True)
"""


def run(pytester: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-W", "error", *options, timeout=100)


def test_a_given_server_is_used_and_left_as_it_was(
    pytester: pytest.Pytester, mongod: EmbeddedMongo, uri: str
) -> None:
    tests = f"""
def test_first(datalayer_db):
    assert datalayer_db.database.status()["hosts"] == ["{mongod.hosts[0]}"]
    Thing(name="a").save()
    with pytest.raises(NotUniqueError):
        Thing(name="a").save()

def test_second(datalayer_db):
    assert Thing.objects.count() == 0

def test_third_without_the_fixture():
    from datalayer import db
    assert not db.database.is_connected
"""
    with MongoClient[dict[str, Any]](uri) as client:
        client.get_default_database()["kept"].insert_one({})
        run(pytester, MODEL + tests, f"--datalayer-uri={uri}").assert_outcomes(passed=3)
        names = client.list_database_names()
        assert client.get_default_database()["kept"].count_documents({}) == 1
    assert [name for name in names if name.startswith("datalayer_test_")] == []


def test_workers_share_a_given_server_and_do_not_meet(
    pytester: pytest.Pytester, auth_mongod: EmbeddedMongo
) -> None:
    tests = """
@pytest.mark.parametrize("number", range(4))
def test_one(datalayer_db, number):
    Thing(name="a").save()
    assert Thing.objects.count() == 1
"""
    given = f"--datalayer-uri={auth_mongod.uri_for('any')}"
    run(pytester, MODEL + tests, "-n2", given).assert_outcomes(passed=4)


def test_a_bad_uri_is_a_usage_error_that_shows_no_password(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_one(): pass", "--datalayer-uri=mongodb://app:s3cret@host/")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --datalayer-uri: *database*"])
    assert "s3cret" not in result.stderr.str() + result.stdout.str()


def test_loading_the_plugin_imports_neither_the_driver_nor_the_facade(
    pytester: pytest.Pytester,
) -> None:
    tests = """
import sys

def test_one():
    heavy = {"pymongo", "bson", "mongoengine", "datalayer.db", "datalayer.embedded"}
    assert heavy & set(sys.modules) == set()
"""
    run(pytester, tests).assert_outcomes(passed=1)
