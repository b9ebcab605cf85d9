"""Where a Flask application's settings come from: ``app.config``, the environment, and the older
``MONGODB_SETTINGS``. Nothing is connected here."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Config, Flask
from flask_applications import clean_environment
from pymongo import ReadPreference
from pymongo.read_preferences import SecondaryPreferred

from datalayer import Settings
from datalayer.contrib.flask import DataLayer, settings_from
from datalayer.errors import ConfigurationError

__all__ = ["clean_environment"]

URI = "mongodb://localhost:27017/shop"


def problems_of(config: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings_from(config)
    return list(caught.value.problems)


# app.config


def test_the_variables_stand_in_the_configuration_under_their_names() -> None:
    settings = settings_from(
        {"MONGODB_URI": URI, "DATABASE1_URI": f"{URI}_1", "MONGODB_MAX_POOL_SIZE": 7}
    )
    assert settings["default"].max_pool_size == 7
    assert settings["database1"].database == "shop_1"


def test_the_configuration_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://localhost:27017/other")
    monkeypatch.setenv("MONGODB_SLOW_MS", "5")
    settings = settings_from({"MONGODB_URI": URI})
    assert (settings["default"].database, settings["default"].slow_ms) == ("shop", 5)


def test_what_is_none_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", URI)
    assert settings_from({"MONGODB_URI": None})["default"].database == "shop"


def test_values_may_be_python_s() -> None:
    config = {"MONGODB_URI": URI, "MONGODB_AUTO_INDEX": False, "DATABASE1_RETRY_MAX_SECONDS": 1.5}
    settings = settings_from(config)
    assert settings["default"].auto_index is False
    assert settings["database1"].retry_max_seconds == 1.5


def test_aliases_may_be_a_list() -> None:
    config = {"MONGODB_URI": URI, "DATALAYER_ALIASES": ["archive"], "ARCHIVE_URI": f"{URI}_old"}
    assert settings_from(config)["archive"].database == "shop_old"


def test_aliases_of_the_environment_have_their_variables_in_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATALAYER_ALIASES", "archive")
    settings = settings_from({"MONGODB_URI": URI, "ARCHIVE_URI": f"{URI}_old"})
    assert settings["archive"].database == "shop_old"


def test_settings_of_the_whole_application_count() -> None:
    settings = settings_from(
        {"MONGODB_URI": URI, "DATALAYER_PROFILE": "job", "DATALAYER_RECORDER_CAPACITY": 9}
    )
    assert settings["default"].operation_timeout_ms == 120_000
    assert settings.recorder.capacity == 9


def test_keyword_arguments_beat_the_configuration() -> None:
    settings = settings_from({"MONGODB_URI": URI}, mongodb_uri=f"{URI}2", database1_uri=None)
    assert settings["default"].database == "shop2"


def test_all_problems_come_at_once() -> None:
    found = problems_of({"MONGODB_URI": URI, "MONGODB_SLOW_MS": "slow", "DATABASE1_SLOW_MS": -1})
    assert [text.split()[0] for text in found] == ["MONGODB_SLOW_MS", "DATABASE1_SLOW_MS"]


def test_a_misspelt_key_is_a_problem() -> None:
    (problem,) = problems_of({"MONGODB_URI": URI, "MONGODB_MAXPOOL_SIZE": 5})
    assert problem == (
        "app.config: MONGODB_MAXPOOL_SIZE is not a variable of datalayer; "
        "did you mean MONGODB_MAX_POOL_SIZE?"
    )


def test_a_problem_holds_no_value() -> None:
    (problem,) = problems_of({"MONGODB_URI": "mongodb://ada:hunter/two@localhost/shop"})
    assert "MONGODB_URI" in problem
    assert "two" not in problem


def test_other_keys_of_flask_s_configuration_do_no_harm() -> None:
    config = Config("/", Flask("shop").config)
    config.update(MONGODB_URI=URI, SECRET_KEY="a", DATABASE1="other", MONGODB_VERSION="8.0")
    assert settings_from(config)["default"].database == "shop"


def test_an_extension_gives_the_settings_of_its_application() -> None:
    app = Flask("shop")
    datalayer = DataLayer(app)
    app.config["MONGODB_URI"] = URI
    assert datalayer.settings(app)["default"].database == "shop"


def test_a_keyword_argument_changes_settings_that_were_given_in_code() -> None:
    app = Flask("shop")
    given = Settings({"default": {"uri": URI, "slow_ms": 5}})
    datalayer = DataLayer(app, settings=given)
    assert datalayer.settings(app) is given
    changed = datalayer.settings(app, mongodb_uri=f"{URI}2", database1_uri=None)
    assert (changed["default"].database, changed["default"].slow_ms) == ("shop2", 5)


def test_a_keyword_argument_leaves_what_holds_for_all_databases() -> None:
    about_migrations = {"migrations": "shop.changes", "migrations_at_connect": "warn"}
    datalayer = DataLayer(Flask("shop"), settings=Settings({"default": URI}, **about_migrations))
    changed = datalayer.settings(mongodb_uri=f"{URI}2")
    assert (changed.migrations, changed.migrations_at_connect) == ("shop.changes", "warn")


# MONGODB_SETTINGS

CARRIED_OVER: dict[str, tuple[dict[str, Any], str]] = {
    "db": ({"db": "shop"}, "mongodb://localhost:27017/shop"),
    "name": ({"name": "shop"}, "mongodb://localhost:27017/shop"),
    "host and port": ({"db": "shop", "host": "db", "port": 1}, "mongodb://db:1/shop"),
    "host with its port": ({"db": "shop", "host": "db:2", "port": 1}, "mongodb://db:2/shop"),
    "several hosts": ({"db": "shop", "host": ["a", "b:2"]}, "mongodb://a:27017,b:2/shop"),
    "an IPv6 address": ({"db": "shop", "host": "::1"}, "mongodb://[::1]:27017/shop"),
    "a socket": ({"db": "shop", "host": "/tmp/m.sock"}, "mongodb://%2Ftmp%2Fm.sock/shop"),
    "a URI": ({"host": "mongodb://db/shop"}, "mongodb://db/shop"),
    "a URI without a database": ({"db": "shop", "host": "mongodb://db"}, "mongodb://db/shop"),
    "a URI that names another": ({"db": "x", "host": "mongodb://db/shop"}, "mongodb://db/shop"),
    "a URI with options": (
        {"host": "mongodb://db/shop?retryWrites=false", "connect": False},
        "mongodb://db/shop?retryWrites=false",
    ),
    "user and password": (
        {"db": "shop", "username": "ada", "password": "p@ss/word"},
        "mongodb://ada:p%40ss%2Fword@localhost:27017/shop?authSource=admin",
    ),
    "the source of users": (
        {"db": "shop", "username": "a", "password": "b", "authentication_source": "users"},
        "mongodb://a:b@localhost:27017/shop?authSource=users",
    ),
    "user and password in a URI": (
        {"host": "mongodb://a:b@db/shop"},
        "mongodb://a:b@db/shop",
    ),
    "user and password in a URI without a database": (
        {"db": "shop", "host": "mongodb://a:b@db"},
        "mongodb://a:b@db/shop?authSource=admin",
    ),
    "user and password beside a URI": (
        {"host": "mongodb://db/shop", "username": "a", "password": "b"},
        "mongodb://a:b@db/shop",
    ),
    "the mechanism": (
        {"db": "shop", "username": "a", "authentication_mechanism": "MONGODB-X509", "tls": True},
        "mongodb://a@localhost:27017/shop?authMechanism=MONGODB-X509&tls=true",
    ),
    "the replica set": (
        {"db": "shop", "replicaset": "rs0"},
        "mongodb://localhost:27017/shop?replicaSet=rs0",
    ),
    "representation of UUIDs": (
        {"db": "shop", "uuid_representation": "pythonLegacy"},
        "mongodb://localhost:27017/shop?uuidRepresentation=pythonLegacy",
    ),
    "read preference": (
        {"db": "shop", "read_preference": ReadPreference.SECONDARY_PREFERRED},
        "mongodb://localhost:27017/shop?readPreference=secondaryPreferred",
    ),
    "options of the driver": (
        {"db": "shop", "maxPoolSize": 3, "tz_aware": True},
        "mongodb://localhost:27017/shop?maxPoolSize=3&tz_aware=true",
    ),
    "keys with a prefix, in capitals": ({"MONGODB_DB": "shop"}, "mongodb://localhost:27017/shop"),
    "what is none": ({"db": "shop", "username": None}, "mongodb://localhost:27017/shop"),
    "connecting later": ({"db": "shop", "connect": False}, "mongodb://localhost:27017/shop"),
    "mongomock": ({"db": "shop", "host": "mongomock://localhost"}, "mongomock://shop"),
}


@pytest.mark.parametrize("what", CARRIED_OVER)
def test_an_older_setting_is_carried_over(what: str) -> None:
    older, uri = CARRIED_OVER[what]
    assert settings_from({"MONGODB_SETTINGS": older})["default"].uri == uri


def test_a_client_of_mongomock_is_carried_over() -> None:
    mongomock = pytest.importorskip("mongomock")
    older = {"db": "shop", "mongo_client_class": mongomock.MongoClient}
    assert settings_from({"MONGODB_SETTINGS": older})["default"].uri == "mongomock://shop"


def test_each_alias_of_a_list_becomes_a_database() -> None:
    older = [
        {"db": "shop"},
        {"db": "events", "alias": "database1"},
        {"db": "shop_old", "alias": "archive"},
    ]
    settings = settings_from({"MONGODB_SETTINGS": older})
    names = {alias: settings[alias].database for alias in settings}
    assert names == {"default": "shop", "database1": "events", "archive": "shop_old"}


def test_aliases_of_both_kinds_go_together() -> None:
    settings = settings_from(
        {
            "MONGODB_SETTINGS": [{"db": "shop"}, {"db": "old", "alias": "archive"}],
            "DATALAYER_ALIASES": "reports",
            "REPORTS_URI": URI,
        }
    )
    assert set(settings) == {"default", "database1", "reports", "archive"}


def test_our_variables_beside_it_count() -> None:
    config = {"MONGODB_SETTINGS": {"db": "shop"}, "MONGODB_MAX_POOL_SIZE": 3}
    assert settings_from(config)["default"].max_pool_size == 3


def test_it_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://localhost:27017/other")
    assert settings_from({"MONGODB_SETTINGS": {"db": "shop"}})["default"].database == "shop"


REFUSED: dict[str, tuple[Any, str]] = {
    "no database": ({"host": "db"}, "MONGODB_SETTINGS, alias 'default': names no database"),
    "no database in a URI": ({"host": "mongodb://db"}, "names no database"),
    "a list of texts": (["shop"], "must be a dict or a list of dicts"),
    "an alias twice": ([{"db": "a"}, {"db": "b"}], "has the alias 'default' twice"),
    "an alias that can't be a variable": ([{"db": "a", "alias": "my db"}], "DATALAYER_ALIASES"),
    "an option nobody knows": ({"db": "a", "colour": "red"}, "colour can't be carried over"),
    "an object": ({"db": "a", "document_class": dict}, "document_class can't be carried over"),
    "a read preference with limits": (
        {"db": "a", "read_preference": SecondaryPreferred(max_staleness=120)},
        "read_preference can't be carried over",
    ),
    "a client class": ({"db": "a", "mongo_client_class": dict}, "mongo_client_class can't be"),
    "a URI among hosts": ({"db": "a", "host": ["mongodb://a", "b"]}, "several hosts"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_t_be_carried_over_is_a_problem(what: str) -> None:
    older, expected = REFUSED[what]
    assert any(expected in problem for problem in problems_of({"MONGODB_SETTINGS": older}))


def test_it_is_a_problem_to_say_the_same_twice() -> None:
    (problem,) = problems_of({"MONGODB_SETTINGS": {"db": "shop"}, "MONGODB_URI": URI})
    assert problem == (
        "app.config has MONGODB_URI, and MONGODB_SETTINGS for the same database; remove one"
    )


def test_flat_keys_are_named() -> None:
    (problem,) = problems_of({"MONGODB_DB": "shop", "MONGODB_HOST": "db"})
    assert problem.startswith("app.config has MONGODB_DB, MONGODB_HOST, flask-mongoengine's flat")


def test_flat_keys_beside_a_uri_are_left_alone() -> None:
    assert settings_from({"MONGODB_URI": URI, "MONGODB_HOST": "db"})["default"].uri == URI


def test_a_problem_of_an_older_setting_holds_no_value() -> None:
    older = {"db": "shop", "username": "ada", "password": "hunter2", "colour": "hunter2"}
    assert "hunter2" not in " ".join(problems_of({"MONGODB_SETTINGS": older}))
