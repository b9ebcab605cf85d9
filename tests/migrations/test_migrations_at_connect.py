"""What connecting does about migrations that are not applied."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from fresh_databases import model_registry
from migration_files import Write
from mongoengine import StringField
from prometheus_client import CollectorRegistry
from pymongo import MongoClient

from datalayer import BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.contrib import prometheus
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, MigrationError
from datalayer.settings import Settings

Databases = dict[str, Any]


@pytest.fixture
def databases(mongod: EmbeddedMongo, database_name: str, write: Write) -> Databases:
    write("0001_first")
    return {"default": mongod.uri_for(database_name)}


@pytest.fixture(autouse=True)
def no_models() -> Any:
    with model_registry():
        yield


def connect(databases: Databases, what: str, **options: Any) -> None:
    db.connect_all(Settings(databases, migrations_at_connect=what, **options))


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "datalayer.migrations" and record.levelno == logging.WARNING
    ]


def applied(databases: Databases) -> None:
    with db.connected(Settings(databases)):
        registry.connection("default").database.datalayer_migrations.insert_one(
            {"_id": "0001_first", "state": "applied", "direction": "apply"}
            | {"run": "", "checksum": ""}
        )


def test_by_default_nothing_is_asked(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    connect(databases, "ignore", migrations="nowhere")
    assert warned(caplog) == []


def test_a_warning_names_what_is_pending_in_one_line(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    connect(databases, "warn")
    assert warned(caplog) == ["migrations: not applied: 0001_first"]
    db.connect_all()
    assert len(warned(caplog)) == 1


def test_a_warning_tells_of_files_that_are_not_as_they_should_be(
    databases: Databases, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("0003_third")
    connect(databases, "warn")
    assert "there is no migration 0002, but a 0003_third" in warned(caplog)[0]


def test_pending_ones_can_keep_an_application_from_starting(databases: Databases) -> None:
    with pytest.raises(MigrationError, match="not applied: 0001_first"):
        connect(databases, "require")
    assert registry.aliases() == []


def test_applied_ones_let_it_start(databases: Databases, caplog: pytest.LogCaptureFixture) -> None:
    applied(databases)
    connect(databases, "require")
    assert warned(caplog) == ["migrations: edited since they were applied: 0001_first"]


def test_what_later_code_has_applied_lets_it_start(databases: Databases, write: Write) -> None:
    applied(databases)
    write("0001_first").unlink()
    connect(databases, "require")


def test_a_package_that_is_not_there_keeps_it_from_starting(databases: Databases) -> None:
    with pytest.raises(ConfigurationError, match="no package or folder of migrations 'nowhere'"):
        connect(databases, "require", migrations="nowhere")


def test_an_optional_default_database_that_is_away_does_not_keep_it_from_starting(
    databases: Databases, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    away = {
        "uri": f"mongodb://127.0.0.1:{closed_port}/shop",
        "required": False,
        "server_selection_timeout_ms": 200,
        "retry_max_seconds": 0.3,
        "retry_attempts": 1,
    }
    connect({"default": away}, "require")
    assert warned(caplog) == [
        "migrations: 'default' is away, so it is not known which migrations are applied"
    ]


def test_databases_without_a_default_one_have_no_history(databases: Databases) -> None:
    with pytest.raises(ConfigurationError, match="there is no database 'default'"):
        connect({"database1": databases["default"]}, "require")


def test_the_status_says_why_nothing_is_connected(databases: Databases) -> None:
    with pytest.raises(MigrationError):
        connect(databases, "require")
    told = db.get("default").status()["last_error"]
    assert told.startswith("the database is not as this code needs it: not applied: 0001_first")
    connect(databases, "warn")
    assert db.status()["default"]["last_error"] is None


def test_nothing_is_built_before_migrations_that_it_may_need(databases: Databases) -> None:
    class Lamp(BusinessDocument):
        name = StringField(unique=True)
        meta = {"collection": "lamps"}

    with MongoClient[Any](databases["default"]) as client:
        lamps = client.get_default_database().lamps
        lamps.insert_many([{"name": "the same"}, {"name": "the same"}])
        with pytest.raises(MigrationError, match="not applied: 0001_first"):
            connect(databases, "require")
        assert list(lamps.index_information()) == ["_id_"]


def test_a_default_database_that_was_connected_before_is_looked_at_too(
    databases: Databases,
) -> None:
    settings = Settings(databases, migrations_at_connect="require")
    db.get("default").connect(settings)
    with pytest.raises(MigrationError, match="not applied: 0001_first"):
        db.connect_all(settings)


def test_prometheus_tells_what_was_found_and_a_scrape_asks_nobody(databases: Databases) -> None:
    exposed = CollectorRegistry()
    prometheus.register(exposed)
    connect(databases, "warn")
    commands = registry.connection("default").monitors.commands
    before = commands.snapshot()["total"]
    assert exposed.get_sample_value("datalayer_migrations_pending") == 1
    assert commands.snapshot()["total"] == before
    db.disconnect_all()
    assert exposed.get_sample_value("datalayer_migrations_pending") is None


def test_prometheus_tells_nothing_where_nobody_has_looked(databases: Databases) -> None:
    exposed = CollectorRegistry()
    prometheus.register(exposed)
    connect(databases, "ignore")
    assert exposed.get_sample_value("datalayer_migrations_pending") is None
