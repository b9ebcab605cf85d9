"""Aliases such as ``eu-archive`` and ``eu.events``, from the settings to the status page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import mongoengine as me
import pytest
from fresh_databases import connected, model_registry
from mongoengine.context_managers import switch_db
from prometheus_client import CollectorRegistry, generate_latest

from datalayer import ConfigurationError, DataLayerError, Settings, cli, db, pytest_plugin
from datalayer.contrib import prometheus
from datalayer.contrib.flask import settings_from
from datalayer.doctor.judgements.settings import judge_warnings
from datalayer.documents import BusinessDocument, Document
from datalayer.embedded import EmbeddedMongo
from datalayer.recorder import Recorder, RecorderSettings
from datalayer.settings.variables import prefix_of

DASH, DOT = "eu-archive", "eu.events"
ALIASES = ("default", "database1", DASH, DOT)


def environment(**further: str) -> dict[str, str]:
    return {
        "MONGODB_URI": "mongodb://localhost/app",
        "DATALAYER_ALIASES": f"{DASH},{DOT}",
        "EU_ARCHIVE_URI": "mongodb://localhost/archive",
        "EU_EVENTS_URI": "mongodb://localhost/events",
        **further,
    }


# Settings


@pytest.mark.parametrize(
    ("alias", "prefix"),
    [
        (DASH, "EU_ARCHIVE_"), (DOT, "EU_EVENTS_"), ("a.b-c_d", "A_B_C_D_"),
        ("archive", "ARCHIVE_"), ("default", "MONGODB_"),
    ],
)  # fmt: skip
def test_the_variables_of_an_alias_have_underscores(alias: str, prefix: str) -> None:
    assert prefix_of(alias) == prefix


def test_they_have_their_variables_in_the_environment() -> None:
    settings = Settings.from_env(environment(EU_ARCHIVE_MAX_POOL_SIZE="3", EU_EVENTS_SLOW_MS="7"))
    assert tuple(settings) == ALIASES
    assert (settings[DASH].database, settings[DASH].max_pool_size) == ("archive", 3)
    assert (settings[DOT].database, settings[DOT].slow_ms) == ("events", 7)


def test_a_problem_names_the_variable() -> None:
    values = environment(EU_ARCHIVE_SLOW_MS="slow", EU_EVENTS_MAXPOOLSIZE="1")
    del values["EU_EVENTS_URI"]
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(values)
    found = "\n".join(caught.value.problems)
    assert "EU_ARCHIVE_SLOW_MS must be" in found
    assert "EU_EVENTS_URI is not set" in found
    assert (
        "EU_EVENTS_MAXPOOLSIZE is not a variable of datalayer; did you mean EU_EVENTS_MAX" in found
    )


@pytest.mark.parametrize("other", ["eu_archive", "eu.archive", "EU-Archive"])
def test_two_with_the_same_variables_are_refused(other: str) -> None:
    values = environment(DATALAYER_ALIASES=f"{DASH},{other}")
    with pytest.raises(ConfigurationError, match="is given twice, or differs from another in"):
        Settings.from_env(values)


@pytest.mark.parametrize("name", ["mongodb", "data/base", "a b", "-a", ".a", "a:b"])
def test_what_cannot_be_told_apart_in_variables_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="DATALAYER_ALIASES has a name"):
        Settings.from_env(environment(DATALAYER_ALIASES=name))


def test_they_may_be_given_in_code_and_in_flask_s_older_setting() -> None:
    uri = "mongodb://localhost/archive"
    assert tuple(Settings({DASH: uri, DOT: {"uri": uri}})) == (DASH, DOT)
    older = [{"db": "app"}, {"db": "a", "alias": DASH}, {"db": "e", "alias": DOT}]
    settings = settings_from({"MONGODB_SETTINGS": older, "EU_ARCHIVE_MAX_POOL_SIZE": 2})
    assert {alias: settings[alias].database for alias in (DASH, DOT)} == {DASH: "a", DOT: "e"}
    assert settings[DASH].max_pool_size == 2


def test_a_warning_belongs_to_the_longer_of_two_names() -> None:
    settings = Settings.from_env(
        environment(
            DATALAYER_ALIASES=f"eu,{DASH},{DOT}",
            EU_URI="mongodb://localhost/eu",
            EU_ARCHIVE_URI="mongodb://db.example.com/archive",
        )
    )
    assert {alias for alias, _ in judge_warnings(settings)} == {DASH}


# Connected


class Order(BusinessDocument):
    name = me.StringField(unique=True)


class Kept(Document):
    name = me.StringField(unique=True)

    meta = {"db_alias": DASH}


class Happened(Document):
    name = me.StringField()

    meta = {"db_alias": DOT}


@pytest.fixture(scope="module")
def settings(mongod: EmbeddedMongo) -> Iterator[Settings]:
    databases = {
        alias: mongod.uri_for(f"test_aliases_{number}") for number, alias in enumerate(ALIASES)
    }
    with model_registry(Order, Kept, Happened), connected(Settings(databases=databases)) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    if "settings" in request.fixturenames:
        for model in (Order, Kept, Happened):
            model.objects.delete()


@pytest.mark.usefixtures("settings")
def test_their_services_and_status_have_their_names() -> None:
    assert db.get(DASH).is_connected
    assert {*db.status()} == {*ALIASES}
    assert db.status()[DOT]["state"] == "connected"
    assert me.connection.get_db(DASH).name == db.get(DASH).name


@pytest.mark.usefixtures("settings")
def test_models_and_indexes_are_in_them() -> None:
    kept = Kept(name="a").save()
    Happened(name="b").save()
    assert "name_1" in db.get(DASH).client[db.get(DASH).name]["kept"].index_information()
    assert (Kept.objects.get(), Happened.objects.count()) == (kept, 1)


@pytest.mark.usefixtures("settings")
def test_routing_reaches_them() -> None:
    with db.using(default=DASH), db.read_from("primaryPreferred", DOT):
        Order(name="a").save()
    assert (Order.objects.count(), Order.objects.using(DASH).count()) == (0, 1)
    with db.using(**{DASH: DOT}):
        Kept(name="b").save()
    assert (Kept.objects.count(), Kept.objects.using(DOT).count()) == (0, 1)
    Order(name="c").switch_db(DOT).save()
    with switch_db(Order, DOT) as switched:
        assert switched.objects.get().name == "c"
    for alias in (DASH, DOT):
        Order.objects.using(alias).delete()


@pytest.mark.usefixtures("settings")
def test_transactions_take_them() -> None:
    def fail() -> None:
        with db.transaction(DASH, DOT):
            Kept(name="a").save()
            Happened(name="b").save()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (Kept.objects.count(), Happened.objects.count()) == (0, 0)


@pytest.mark.usefixtures("settings")
def test_metrics_have_them_as_labels() -> None:
    registry = CollectorRegistry()
    prometheus.register(registry)
    try:
        exposed = generate_latest(registry).decode()
    finally:
        prometheus.unregister(registry)
    assert f'alias="{DASH}"' in exposed
    assert f'alias="{DOT}"' in exposed


@pytest.mark.usefixtures("settings")
def test_the_recorder_keeps_and_sends_their_events(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(policy="spool", spool_directory=tmp_path))
    recorder.record({"name": "seen"}, Happened)
    recorder.record({"name": "kept"}, Kept)
    assert recorder.flush(timeout=60)
    recorder.close()
    assert (Happened.objects.get().name, Kept.objects.get().name) == ("seen", "kept")


def test_the_command_shows_them(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    for alias in settings:
        monkeypatch.setenv(f"{prefix_of(alias)}URI", settings[alias].uri)
    assert cli.main(["status", "--json"]) == 0
    assert [*json.loads(capsys.readouterr().out)] == [*ALIASES]
    assert cli.main(["indexes", "diff", "--alias", DASH, "--json"]) == 0


@pytest.mark.usefixtures("settings")
def test_an_error_names_the_variable_to_set() -> None:
    with pytest.raises(DataLayerError, match="'us-west' to DATALAYER_ALIASES and set US_WEST_URI"):
        Order.objects.using("us-west").count()


def test_the_databases_of_tests_have_names_that_servers_take() -> None:
    names = pytest_plugin._new_names(ALIASES)
    assert len({*names.values()}) == len(ALIASES)
    assert not any("." in name for name in names.values())
