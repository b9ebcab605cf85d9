"""Settings: where values come from, what they may be, and what is told when they are wrong."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymongo.common
import pytest

from datalayer.errors import ConfigurationError
from datalayer.settings import DatabaseSettings, Row, Settings
from datalayer.settings.uri.options import OPTIONS
from datalayer.settings.variables import DATABASE_VARIABLES, FOREIGN_VARIABLES, GLOBAL_VARIABLES

CANARY = "c4n4ry-s3cret"
URI = f"mongodb://app:{CANARY}@db.example.com:27017/shop?tls=true"
LOCAL = "mongodb://localhost:27017/shop"


def from_env(**variables: str) -> Settings:
    return Settings.from_env({"MONGODB_URI": LOCAL, **variables})


def problems_of(build: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        build()
    return caught.value.problems


def problems_with(**variables: str) -> tuple[str, ...]:
    return problems_of(lambda: from_env(**variables))


# Defaults


def test_the_business_database_has_the_reference_values() -> None:
    assert repr(from_env()["default"]).startswith(
        "DatabaseSettings(alias='default', uri='mongodb://localhost:27017/shop', database='shop', "
        "max_pool_size=10, min_pool_size=2, server_selection_timeout_ms=10000, "
        "connect_timeout_ms=10000, socket_timeout_ms=45000, wait_queue_timeout_ms=10000, "
        "operation_timeout_ms=20000, slow_ms=100, auto_index=True, auto_create=True, "
        "required=True, retry_attempts=5, retry_max_seconds=20.0, allow_unacknowledged=False, "
        "leak_warning_ms=0"
    )


def test_the_analytics_database_is_smaller_and_optional() -> None:
    settings = from_env()["database1"]
    assert (settings.max_pool_size, settings.min_pool_size, settings.required) == (5, 1, False)


def test_the_analytics_database_is_by_default_on_the_server_of_the_business_database() -> None:
    assert from_env()["database1"].uri == "mongodb://localhost:27017/database1"


def test_its_default_keeps_the_credentials_and_the_database_that_knows_them() -> None:
    settings = Settings.from_env({"MONGODB_URI": URI})
    assert settings["database1"].uri == (
        f"mongodb://app:{CANARY}@db.example.com:27017/database1?tls=true&authSource=shop"
    )


def test_its_default_keeps_an_explicit_auth_source() -> None:
    settings = Settings.from_env({"MONGODB_URI": "mongodb://u:p@localhost/shop?authSource=admin"})
    assert settings["database1"].uri == "mongodb://u:p@localhost/database1?authSource=admin"


def test_its_default_leaves_the_auth_source_of_an_srv_uri_to_dns() -> None:
    settings = Settings.from_env({"MONGODB_URI": "mongodb+srv://u:p@cluster.example.com/shop"})
    assert settings["database1"].uri == "mongodb+srv://u:p@cluster.example.com/database1"


def test_its_default_does_not_take_over_pool_sizes_and_deadlines() -> None:
    settings = from_env(
        MONGODB_URI=f"{LOCAL}?maxPoolSize=50&w=majority&timeoutMS=9&appname=shop",
        DATABASE1_MAX_POOL_SIZE="7",
    )
    assert settings["database1"].uri == "mongodb://localhost:27017/database1?w=majority"
    assert settings["database1"].max_pool_size == 7


@pytest.mark.parametrize("scheme", ["embedded", "mongomock"])
def test_its_default_stays_on_the_same_kind_of_server(scheme: str) -> None:
    settings = Settings.from_env({"MONGODB_URI": f"{scheme}://shop"})
    assert settings["database1"].uri == f"{scheme}://database1"
    assert settings["database1"].kind == scheme


def test_the_job_profile_allows_longer_operations() -> None:
    settings = from_env(DATALAYER_PROFILE="job", DATABASE1_OPERATION_TIMEOUT_MS="5000")
    deadlines = [settings[alias].operation_timeout_ms for alias in settings]
    assert deadlines == [120_000, 5_000]


def test_a_smaller_maximum_takes_the_default_minimum_down() -> None:
    assert from_env(MONGODB_MAX_POOL_SIZE="1")["default"].min_pool_size == 1


# Sources


def test_the_variables_of_a_database_are_read() -> None:
    written = {
        "MAX_POOL_SIZE": "7",
        "MIN_POOL_SIZE": "3",
        "SERVER_SELECTION_TIMEOUT_MS": "1001",
        "CONNECT_TIMEOUT_MS": "1002",
        "SOCKET_TIMEOUT_MS": "1003",
        "WAIT_QUEUE_TIMEOUT_MS": "1004",
        "OPERATION_TIMEOUT_MS": "1005",
        "SLOW_MS": "0",
        "AUTO_INDEX": "off",
        "AUTO_CREATE": "No",
        "REQUIRED": "TRUE",
        "RETRY_ATTEMPTS": "9",
        "RETRY_MAX_SECONDS": "2.5",
        "ALLOW_UNACKNOWLEDGED": "1",
        "LEAK_WARNING_MS": "60",
    }
    read = from_env(**{f"DATABASE1_{name}": text for name, text in written.items()})["database1"]
    assert [getattr(read, name.lower()) for name in written] == [
        7, 3, 1001, 1002, 1003, 1004, 1005, 0, False, False, True, 9, 2.5, True, 60,
    ]  # fmt: skip


def test_further_aliases_have_variables_of_their_own() -> None:
    settings = from_env(
        DATALAYER_ALIASES="archive, reports",
        ARCHIVE_URI="mongodb://localhost/archive",
        REPORTS_URI="mongodb://localhost/reports",
        REPORTS_MAX_POOL_SIZE="3",
    )
    assert list(settings) == ["default", "database1", "archive", "reports"]
    assert [settings[alias].max_pool_size for alias in settings] == [10, 5, 5, 3]


def test_a_given_mapping_is_the_only_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MONGODB_SLOW_MS=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGODB_MAX_POOL_SIZE", "99")
    settings = from_env()["default"]
    assert (settings.max_pool_size, settings.slow_ms) == (10, 100)


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    import os

    for name in list(os.environ):
        if name.startswith(("MONGODB_", "DATABASE1_", "DATALAYER_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dot_env_is_found_from_the_working_directory_upwards(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean_environment / ".env").write_text(
        f"# business\nexport MONGODB_URI={LOCAL}\nMONGODB_MAX_POOL_SIZE='7'\n"
    )
    deeper = clean_environment / "a" / "b"
    deeper.mkdir(parents=True)
    monkeypatch.chdir(deeper)
    assert Settings.from_env()["default"].max_pool_size == 7


def test_the_nearest_dot_env_counts_alone(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean_environment / ".env").write_text("MONGODB_SLOW_MS=1\n")
    (clean_environment / "app").mkdir()
    (clean_environment / "app" / ".env").write_text(f"MONGODB_URI={LOCAL}\n")
    monkeypatch.chdir(clean_environment / "app")
    assert Settings.from_env()["default"].slow_ms == 100


def test_a_settings_ini_is_somebody_elses(clean_environment: Path) -> None:
    (clean_environment / "settings.ini").write_text("[settings]\nMONGODB_SLOW_MS=1\n")
    (clean_environment / ".env").write_text(f"MONGODB_URI={LOCAL}\n")
    assert Settings.from_env()["default"].slow_ms == 100


def test_arguments_beat_the_environment_which_beats_dot_env(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean_environment / ".env").write_text(
        f"MONGODB_URI={LOCAL}\nMONGODB_SLOW_MS=1\nMONGODB_MAX_POOL_SIZE=11\n"
        "MONGODB_MIN_POOL_SIZE=4\n"
    )
    monkeypatch.setenv("MONGODB_SLOW_MS", "2")
    monkeypatch.setenv("MONGODB_MAX_POOL_SIZE", "12")
    settings = Settings.from_env(mongodb_slow_ms=3, mongodb_required=False)
    default = settings["default"]
    assert (default.slow_ms, default.max_pool_size, default.min_pool_size) == (3, 12, 4)
    assert default.required is False
    sources = {row.variable: row.source for row in settings.rows if row.source != "default"}
    assert sources == {
        "MONGODB_URI": ".env",
        "MONGODB_MAX_POOL_SIZE": "environment",
        "MONGODB_MIN_POOL_SIZE": ".env",
        "MONGODB_SLOW_MS": "override",
        "MONGODB_REQUIRED": "override",
    }


def test_an_argument_that_is_none_counts_as_not_given() -> None:
    settings = Settings.from_env({"MONGODB_URI": LOCAL}, mongodb_uri=None)
    assert settings["default"].uri == LOCAL


def test_an_unreadable_dot_env_is_a_problem(clean_environment: Path) -> None:
    (clean_environment / ".env").write_bytes(b"MONGODB_URI=\xff\xfe" + CANARY.encode())
    assert problems_of(Settings.from_env)[0] == (
        f"the file {clean_environment / '.env'} can't be read; it must be readable UTF-8 text"
    )


def test_a_missing_working_directory_means_no_dot_env(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = clean_environment / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("MONGODB_URI", LOCAL)
    assert Settings.from_env()["default"].uri == LOCAL


# In code


def test_code_gives_a_uri_a_dict_or_a_value() -> None:
    ready = Settings(databases={"archive": "mongodb://localhost/archive"})["archive"]
    settings = Settings(
        databases={
            "default": LOCAL,
            "database1": {"uri": "embedded://events", "max_pool_size": 7, "auto_index": False},
            "archive": ready,
        }
    )
    assert [settings[alias].database for alias in settings] == ["shop", "events", "archive"]
    assert (settings["database1"].max_pool_size, settings["database1"].auto_index) == (7, False)
    assert settings["archive"] is ready


def test_code_invents_no_database() -> None:
    settings = Settings(databases={"default": LOCAL})
    assert (list(settings), len(settings), "database1" in settings) == (["default"], 1, False)


def test_code_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_MAX_POOL_SIZE", "99")
    assert Settings(databases={"default": LOCAL})["default"].max_pool_size == 10


def test_code_can_choose_the_job_profile() -> None:
    settings = Settings(databases={"default": LOCAL}, profile="job")
    assert settings["default"].operation_timeout_ms == 120_000


def test_problems_in_code_name_the_alias_and_the_field() -> None:
    databases: dict[str, Any] = {
        "default": {"uri": "", "max_pool_size": 0, "max_pol_size": 3},
        "database1": {"retry_attempts": "many"},
        "with space": LOCAL,
        "number": 3,
    }
    assert problems_of(lambda: Settings(databases=databases)) == (
        "default has a field that is not a setting; did you mean max_pool_size?",
        "default.uri is empty; for example "
        "default.uri=mongodb://user:password@db.example.com:27017/app?authSource=admin",
        "default.max_pool_size must be a whole number of connections from 1 to 10000; 0 would "
        "mean a pool without limit, which one burst of requests could use to overwhelm the "
        "server; for example default.max_pool_size=10",
        "database1.uri is not set; for example "
        "mongodb://user:password@db.example.com:27017/app?authSource=admin",
        "database1.retry_attempts must be a whole number of attempts from 1 to 1000, in plain "
        "digits and without a unit; for example database1.retry_attempts=5",
        "databases has an alias that is not made of letters, digits, '_', '-' and '.'; "
        "for example databases={'default': 'mongodb://localhost:27017/app'}",
        "number must be a URI, a dict or a DatabaseSettings",
    )


def test_a_value_must_stand_under_its_own_alias() -> None:
    ready = Settings(databases={"archive": LOCAL})["archive"]
    assert problems_of(lambda: Settings(databases={"default": ready})) == (
        "default is given the settings of the alias archive",
    )


@pytest.mark.parametrize("databases", [{}, "mongodb://localhost/shop", None])
def test_code_must_give_at_least_one_database(databases: Any) -> None:
    assert len(problems_of(lambda: Settings(databases=databases))) == 1


# Problems


def test_all_problems_come_at_once() -> None:
    problems = problems_of(
        lambda: Settings.from_env(
            {
                "MONGODB_MAX_POOL_SIZE": "ten",
                "DATABASE1_URI": "mongodb://localhost",
                "DATABASE1_REQUIRED": "maybe",
                "DATALAYER_ALIASES": "archive",
                "DATALAYER_PROFILE": "batch",
                "DATABASE1_MIN_POLSIZE": "1",
            }
        )
    )
    assert [problem.split()[0] for problem in problems] == [
        "DATALAYER_PROFILE",
        "DATABASE1_MIN_POLSIZE",
        "MONGODB_URI",
        "MONGODB_MAX_POOL_SIZE",
        "DATABASE1_URI",
        "DATABASE1_REQUIRED",
        "ARCHIVE_URI",
    ]


def test_a_missing_uri_is_named_with_an_example() -> None:
    assert problems_of(lambda: Settings.from_env({})) == (
        "MONGODB_URI is not set; for example "
        "MONGODB_URI=mongodb://user:password@db.example.com:27017/app?authSource=admin",
    )


@pytest.mark.parametrize("near", ["MONGODB_URL", "MONGO_URI"])
def test_a_missing_uri_under_a_similar_name_is_pointed_out(near: str) -> None:
    problem = problems_of(lambda: Settings.from_env({near: URI}))[0]
    assert f"({near} is set; did you mean MONGODB_URI?)" in problem


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
@pytest.mark.parametrize("variable", ["MONGODB_URI", "DATABASE1_URI"])
def test_an_empty_uri_never_means_localhost(variable: str, text: str) -> None:
    assert problems_with(**{variable: text}) == (
        f"{variable} is empty; for example "
        f"{variable}=mongodb://user:password@db.example.com:27017/app?authSource=admin",
    )


@pytest.mark.parametrize(
    "text", ["", "ten", "1e3", "10s", "-1", "1.5", "1_000", "0x10", "٣", "9" * 30, "10 # ten"]
)
def test_whole_numbers_are_plain_digits(text: str) -> None:
    (problem,) = problems_with(MONGODB_CONNECT_TIMEOUT_MS=text)
    assert "a whole number of milliseconds from 1 to 86400000" in problem
    assert problem.endswith("for example MONGODB_CONNECT_TIMEOUT_MS=10000")


@pytest.mark.parametrize("text", ["0", "nan", "inf", "1e3", "-1", "86401", ".5"])
def test_decimal_numbers_have_bounds(text: str) -> None:
    (problem,) = problems_with(MONGODB_RETRY_MAX_SECONDS=text)
    assert "a decimal number of seconds from 0.1 to 86400" in problem


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On"])
def test_yes_has_many_words(text: str) -> None:
    assert from_env(DATABASE1_REQUIRED=text)["database1"].required is True


@pytest.mark.parametrize("text", ["false", "0", "NO", "off"])
def test_no_has_many_words(text: str) -> None:
    assert from_env(MONGODB_REQUIRED=text)["default"].required is False


@pytest.mark.parametrize("text", ["", "y", "2", "maybe"])
def test_other_words_are_neither(text: str) -> None:
    (problem,) = problems_with(MONGODB_REQUIRED=text)
    assert "must be true or false (also 1/0, yes/no, on/off)" in problem


def test_an_unlimited_pool_is_refused() -> None:
    (problem,) = problems_with(MONGODB_MAX_POOL_SIZE="0")
    assert "0 would mean a pool without limit" in problem


def test_the_minimum_may_not_be_above_the_maximum() -> None:
    assert problems_with(DATABASE1_MIN_POOL_SIZE="6") == (
        "DATABASE1_MIN_POOL_SIZE (6) is above DATABASE1_MAX_POOL_SIZE (5); "
        "lower the first or raise the second",
    )


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (
            "my archive",
            "is not made of letters, digits, '_', '-' and '.', beginning with a letter",
        ),
        ("1st", "is not made of letters, digits, '_', '-' and '.', beginning with a letter"),
        (
            "archive,Archive",
            "is given twice, or differs from another in capitals, '-', '.' and '_'",
        ),
        ("database1", "is there without being listed"),
        ("mongodb", "would share the variables of another database"),
        ("datalayer", "would share the variables of another database"),
    ],
)
def test_unusable_aliases_are_refused(names: str, why: str) -> None:
    problems = problems_with(DATALAYER_ALIASES=names, ARCHIVE_URI=LOCAL)
    assert [why in problem for problem in problems] == [True]


# Misspelt names


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("MONGODB_MAXPOOLSIZE", "MONGODB_MAX_POOL_SIZE"),
        ("MONGODB_MAX_POOL_SIZ", "MONGODB_MAX_POOL_SIZE"),
        ("MONGODB_CONNECT_TIMEOUT", "MONGODB_CONNECT_TIMEOUT_MS"),
        ("DATABASE1_REQUIRE", "DATABASE1_REQUIRED"),
        ("DATABASE1_AUTOINDEX", "DATABASE1_AUTO_INDEX"),
        ("DATALAYER_ALIAS", "DATALAYER_ALIASES"),
        ("DATALAYER_REQUIRE_TSL", "DATALAYER_REQUIRE_TLS"),
        ("mongodb_slow_ms", "MONGODB_SLOW_MS"),
        ("ARCHIVE_MAX_POOLSIZE", "ARCHIVE_MAX_POOL_SIZE"),
    ],
)
def test_a_misspelt_variable_is_pointed_out(written: str, meant: str) -> None:
    problems = problems_with(
        **{written: CANARY, "DATALAYER_ALIASES": "archive", "ARCHIVE_URI": LOCAL}
    )
    assert f"{written} is not a variable of datalayer; did you mean {meant}?" in problems


@pytest.mark.parametrize(
    "name",
    [
        "MONGODB_VERSION",
        "MONGODB_DATABASE",
        "MONGODB_USERNAME",
        "MONGODB_PASSWORD",
        "MONGODB_HOST",
        "MONGODB_PORT",
        "MONGODB_URL",
        "MONGODB_URI_FILE",
        "MONGODB_ROOT_PASSWORD",
        "MONGODB_ADVERTISED_HOSTNAME",
        "MONGODB_REPLICA_SET_MODE",
        "MONGODB_REPLICA_SET_KEY",
        "MONGODB_ENABLE_JOURNAL",
        "MONGODB_INIT_RETRY_ATTEMPTS",
        "MONGODB_INIT_RETRY_DELAY",
        "MONGODB_EXTRA_FLAGS",
        "MONGODB_MAJOR",
        "MONGODB_PACKAGE",
        "MONGODB_PORT_27017_TCP",
        "MONGODB_PORT_27017_TCP_ADDR",
        "MONGODB_PORT_27017_TCP_PORT",
        "MONGODB_PORT_27017_TCP_PROTO",
        "MONGODB_SERVICE_HOST",
        "MONGODB_SERVICE_PORT",
        "MONGODB_SERVICE_PORT_MONGODB",
        "DATABASE1_BACKUP_DIR",
        "DATABASE1_HOST",
        "DATABASE1_SERVICE_HOST",
        *FOREIGN_VARIABLES,
    ],
)
def test_variables_of_other_tools_do_not_matter(name: str) -> None:
    assert from_env(**{name: CANARY}) == from_env()


def test_an_unknown_argument_is_a_problem() -> None:
    def build() -> Settings:
        return Settings.from_env({"MONGODB_URI": LOCAL}, mongodb_max_pool=3, colour="red")

    assert problems_of(build) == (
        "the keyword argument colour is not a setting",
        "the keyword argument mongodb_max_pool is not a setting; "
        "did you mean mongodb_max_pool_size?",
    )


# Warnings


def test_a_uri_that_overrules_a_variable_is_reported() -> None:
    settings = from_env(MONGODB_URI=f"{LOCAL}?maxpoolsize=7", MONGODB_MAX_POOL_SIZE="3")
    assert settings["default"].max_pool_size == 7
    assert settings.warnings == (
        "MONGODB_URI sets maxPoolSize to another value than MONGODB_MAX_POOL_SIZE; "
        "the URI's is used, remove one of them",
    )


def test_a_uri_that_agrees_with_a_variable_is_not_reported() -> None:
    settings = from_env(MONGODB_URI=f"{LOCAL}?maxPoolSize=7", MONGODB_MAX_POOL_SIZE="7")
    assert settings.warnings == ()


def test_a_uri_that_differs_from_a_default_is_not_reported() -> None:
    settings = from_env(MONGODB_URI=f"{LOCAL}?maxPoolSize=7")
    assert (settings["default"].max_pool_size, settings.warnings) == (7, ())


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1", "127.8.9.10:27018", "[::1]", "%2Ftmp%2Fmongo.sock"],
)
def test_plain_connections_within_this_machine_are_fine(host: str) -> None:
    assert from_env(MONGODB_URI=f"mongodb://{host}/shop").warnings == ()


@pytest.mark.parametrize(
    "host", ["db.example.com", "10.0.0.1:27017", "[fe80::1]", "localhost,other", "128.0.0.1"]
)
def test_plain_connections_to_other_machines_are_reported_once(host: str) -> None:
    settings = from_env(MONGODB_URI=f"mongodb://{host}/shop")
    assert settings.warnings == (
        "MONGODB_URI connects without TLS to another machine, so data and passwords can be read "
        "on the way; add tls=true",
    )


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://db.example.com/shop?tls=true",
        "mongodb://db.example.com/shop?ssl=true",
        "mongodb+srv://cluster.example.com/shop",
        f"mongodb://db.example.com/shop?tlsCAFile={quote(__file__)}",
        "embedded://shop",
        "mongomock://shop",
    ],
)
def test_protected_connections_are_not_reported(uri: str) -> None:
    assert from_env(MONGODB_URI=uri).warnings == ()


def test_srv_without_tls_is_reported() -> None:
    settings = from_env(MONGODB_URI="mongodb+srv://cluster.example.com/shop?tls=false")
    assert len(settings.warnings) == 1


@pytest.mark.parametrize(
    "option", ["tlsInsecure", "tlsAllowInvalidCertificates", "tlsAllowInvalidHostnames"]
)
def test_unverified_servers_are_reported(option: str) -> None:
    settings = from_env(MONGODB_URI=f"{LOCAL}?tls=true&{option}=true")
    assert [text.startswith(f"MONGODB_URI sets {option}=true") for text in settings.warnings] == [
        True
    ]


def test_require_tls_turns_the_warnings_into_problems() -> None:
    problems = problems_with(
        DATALAYER_REQUIRE_TLS="true",
        MONGODB_URI="mongodb://db.example.com/shop?tls=false&tlsInsecure=true",
        DATABASE1_URI="mongodb://other.example.com/shop",
    )
    assert [problem.split()[:2] for problem in problems] == [
        ["MONGODB_URI", "sets"],
        ["MONGODB_URI", "connects"],
        ["DATABASE1_URI", "connects"],
    ]


def test_require_tls_lets_this_machine_pass() -> None:
    assert from_env(DATALAYER_REQUIRE_TLS="true").warnings == ()


def test_require_tls_works_in_code() -> None:
    remote = {"default": "mongodb://db.example.com/shop"}
    ready = dict(Settings(databases=remote))
    assert len(problems_of(lambda: Settings(databases=remote, require_tls=True))) == 1
    assert len(problems_of(lambda: Settings(databases=ready, require_tls=True))) == 1


# Arguments of the driver


def test_client_kwargs_hold_what_the_driver_needs() -> None:
    assert from_env()["database1"].client_kwargs() == {
        "host": "mongodb://localhost:27017/database1",
        "appname": "datalayer:database1",
        "maxPoolSize": 5,
        "minPoolSize": 1,
        "serverSelectionTimeoutMS": 10_000,
        "connectTimeoutMS": 10_000,
        "socketTimeoutMS": 45_000,
        "waitQueueTimeoutMS": 10_000,
        "timeoutMS": 20_000,
        "tz_aware": True,
        "uuidRepresentation": "standard",
        "retryWrites": True,
    }


def test_client_kwargs_leave_out_what_the_uri_sets() -> None:
    uri = f"{LOCAL}?APPNAME=x&maxpoolsize=7&TimeoutMS=9&tz_aware=false&retryWrites=false"
    settings = from_env(MONGODB_URI=uri)["default"]
    assert set(settings.client_kwargs()) == {
        "host", "minPoolSize", "serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS",
        "waitQueueTimeoutMS", "uuidRepresentation",
    }  # fmt: skip
    assert settings.operation_timeout_ms == 9


def test_client_kwargs_of_a_private_server_have_no_host_and_the_options_of_the_uri() -> None:
    uri = (
        "embedded://shop?maxPoolSize=7&tz_aware=false&w=1&readPreference=nearest"
        "&readPreferenceTags=dc:a&readPreferenceTags="
    )
    arguments = from_env(MONGODB_URI=uri)["default"].client_kwargs()
    usual = from_env()["default"].client_kwargs()
    del usual["host"]
    assert arguments == usual | {
        "maxPoolSize": "7",
        "tz_aware": False,
        "w": "1",
        "readPreference": "nearest",
        "readPreferenceTags": ["dc:a", ""],
    }


def test_unacknowledged_writes_are_refused() -> None:
    (problem,) = problems_with(MONGODB_URI=f"{LOCAL}?w=0")
    assert problem.startswith("MONGODB_URI sets w=0")
    assert "MONGODB_ALLOW_UNACKNOWLEDGED=true" in problem


def test_unacknowledged_writes_can_be_asked_for_and_stay_with_that_database() -> None:
    settings = from_env(MONGODB_URI=f"{LOCAL}?w=0", MONGODB_ALLOW_UNACKNOWLEDGED="true")
    assert settings["default"].uri == f"{LOCAL}?w=0"
    assert settings["database1"].uri == "mongodb://localhost:27017/database1"


# Values


def test_equal_texts_make_equal_values() -> None:
    first, second = from_env(), from_env()
    assert first == second
    assert hash(first) == hash(second)
    assert hash(first["default"]) == hash(second["default"])


def test_another_password_makes_another_value() -> None:
    other = Settings.from_env({"MONGODB_URI": URI.replace(CANARY, "other")})
    assert other["default"] != Settings.from_env({"MONGODB_URI": URI})["default"]


def test_values_are_frozen() -> None:
    settings = from_env()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings["default"].max_pool_size = 3  # type: ignore[misc]  # what the test is about
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.warnings = ()  # type: ignore[misc]  # what the test is about
    with pytest.raises(TypeError):
        settings.databases["other"] = settings["default"]  # type: ignore[index]  # likewise


def test_a_value_can_be_varied() -> None:
    varied = dataclasses.replace(from_env()["default"], max_pool_size=3)
    assert (varied.max_pool_size, varied.client_kwargs()["maxPoolSize"]) == (3, 3)


def test_a_varied_value_is_checked() -> None:
    default = from_env()["default"]
    assert problems_of(lambda: dataclasses.replace(default, max_pool_size=1, slow_ms=-1)) == (
        "default.slow_ms must be a whole number of milliseconds from 0 to 86400000, "
        "in plain digits and without a unit",
    )
    assert problems_of(lambda: dataclasses.replace(default, max_pool_size=1)) == (
        "default.min_pool_size (2) is above default.max_pool_size (1); "
        "lower the first or raise the second",
    )
    assert problems_of(lambda: dataclasses.replace(default, uri="mongodb://localhost")) == (
        "default.uri names no database; write its name after the host: mongodb://host:27017/NAME",
    )


def test_copies_are_complete() -> None:
    settings = Settings.from_env({"MONGODB_URI": URI})
    assert copy.deepcopy(settings)["default"].uri == URI
    assert copy.copy(settings["default"]).uri == URI


# Secrets

SECRET_URI = (
    f"mongodb://{CANARY}user:{CANARY}@localhost/shop?authMechanism=MONGODB-AWS"
    f"&authMechanismProperties=AWS_SESSION_TOKEN:{CANARY}&tlsCertificateKeyFilePassword={CANARY}"
)


def test_no_text_of_a_value_shows_a_secret() -> None:
    settings = Settings.from_env({"MONGODB_URI": SECRET_URI})
    texts = [repr(settings), str(settings), repr(settings["default"]), f"{settings['default']}"]
    texts += [repr(row) for row in settings.rows] + list(settings.warnings)
    texts += [settings["default"].redacted_uri]
    assert [text for text in texts if CANARY in text] == []
    assert settings["default"].redacted_uri == (
        "mongodb://***@localhost/shop?authMechanism=MONGODB-AWS"
        "&authMechanismProperties=***&tlsCertificateKeyFilePassword=***"
    )


def test_a_pickle_holds_no_secret_and_says_so_when_it_is_used() -> None:
    settings = Settings.from_env({"MONGODB_URI": SECRET_URI})
    pickled = pickle.dumps(settings)
    assert CANARY.encode() not in pickled
    restored = pickle.loads(pickled)
    assert repr(restored) == repr(settings)
    assert restored["default"].hosts == ("localhost:27017",)
    assert problems_of(restored["default"].client_kwargs) == (
        "the settings of 'default' were unpickled, and credentials are never pickled; "
        "read them where they are used, with Settings.from_env()",
    )


def test_a_pickle_without_secrets_is_complete() -> None:
    settings = from_env()
    restored = pickle.loads(pickle.dumps(settings))
    assert restored == settings
    assert restored["default"].client_kwargs() == settings["default"].client_kwargs()


def test_a_redacted_uri_is_not_taken_for_a_real_one() -> None:
    redacted = Settings.from_env({"MONGODB_URI": URI})["default"].redacted_uri
    (problem,) = problems_of(lambda: Settings.from_env({"MONGODB_URI": redacted}))
    assert problem == (
        "MONGODB_URI holds *** in the place of a secret, as logs show it; put the secret there"
    )


# Tables


def test_rows_tell_every_setting_and_its_source() -> None:
    settings = from_env(MONGODB_URI=f"{URI}&maxPoolSize=7", DATABASE1_SLOW_MS="5")
    rows = {row.variable: row for row in settings.rows}
    assert len(rows) == len(GLOBAL_VARIABLES) + 2 * len(DATABASE_VARIABLES)
    assert rows["DATALAYER_REQUIRE_TLS"] == Row("", "DATALAYER_REQUIRE_TLS", "false", "default")
    assert rows["MONGODB_URI"] == Row(
        "default",
        "MONGODB_URI",
        "mongodb://***@db.example.com:27017/shop?tls=true&maxPoolSize=7",
        "environment",
    )
    assert rows["MONGODB_MAX_POOL_SIZE"].source == "URI"
    assert rows["DATABASE1_SLOW_MS"] == Row("database1", "DATABASE1_SLOW_MS", "5", "environment")
    assert rows["DATABASE1_URI"].source == "default"
    assert rows["DATABASE1_RETRY_MAX_SECONDS"].value == "5"


def test_every_variable_has_a_meaning_and_defaults_within_its_bounds() -> None:
    for variable in DATABASE_VARIABLES:
        assert variable.meaning.endswith((".", "below."))
        for default in (variable.default, variable.elsewhere, variable.job):
            if default is not None:
                assert variable.type.read(str(default)) == default


def test_every_option_of_the_driver_is_known() -> None:
    drivers = set(pymongo.common.URI_OPTIONS_VALIDATOR_MAP) - {"driver", "server_api"}
    assert drivers - {name.lower() for name in OPTIONS} == set()


def test_a_database_settings_needs_no_environment() -> None:
    fields = {each.name for each in dataclasses.fields(DatabaseSettings)}
    assert {variable.field for variable in DATABASE_VARIABLES} | {"alias", "database"} == fields


def test_code_says_where_migrations_are_and_what_connecting_does_about_them() -> None:
    given = {"migrations": "shop.changes", "migrations_at_connect": "warn"}
    settings = Settings({"default": LOCAL}, **given)
    again = pickle.loads(pickle.dumps(settings))
    for each in (settings, again):
        assert (each.migrations, each.migrations_at_connect) == ("shop.changes", "warn")


def test_code_can_ask_for_nothing_else_about_migrations() -> None:
    with pytest.raises(ConfigurationError, match="migrations_at_connect must be ignore or warn"):
        Settings({"default": LOCAL}, migrations_at_connect="apply")
