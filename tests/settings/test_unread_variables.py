"""Variables that are set and not read: what seems to be meant for datalayer is told."""

from __future__ import annotations

import pytest

from datalayer.errors import ConfigurationError
from datalayer.settings import Settings

BUSINESS = "mongodb://localhost/shop"
SECRET = "Zq7XwKv93Jp"
ANALYTICS = f"mongodb://u:{SECRET}@localhost/stats"


def from_env(**variables: str) -> Settings:
    return Settings.from_env({"MONGODB_URI": BUSINESS, **variables})


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        from_env(**variables)
    assert SECRET not in str(caught.value)
    return caught.value.problems


def warnings(**variables: str) -> tuple[str, ...]:
    found = from_env(**variables).warnings
    assert SECRET not in repr(found)
    return found


@pytest.mark.parametrize("uri", [ANALYTICS, "mongodb+srv://a.example.com/b", "embedded://stats"])
@pytest.mark.parametrize(
    "name",
    [
        "DATABASE1_URL",
        "DATABASE1_HOST",
        "DATABASE1_MONGODB_URI",
        "DATABASE1_CONNECTION_STRING",
        "database1_url",
        "DATABSE1_URI",
        "DATABSE1_URL",
        "DATABASES1_URI",
        "DATABASE_1_URI",
        "DATABASE1URI",
    ],
)
def test_analytics_does_not_go_elsewhere_because_of_a_slip(name: str, uri: str) -> None:
    assert problems(**{name: uri}) == (
        f"{name} is set and is not read; did you mean DATABASE1_URI? Without that, analytics "
        "would go to the server of MONGODB_URI",
    )


@pytest.mark.parametrize(
    "name", ["\ufeffDATABASE1_URI", "DATABASE1_URI\u200b", "DATABASE1-URI", "DATABASE1.URI"]
)
def test_a_name_with_another_mark_or_an_invisible_letter_is_a_problem(name: str) -> None:
    escaped = name.encode("ascii", "backslashreplace").decode()
    assert problems(**{name: ANALYTICS})[0] == (
        f"{escaped} is not a variable of datalayer; did you mean DATABASE1_URI?"
    )


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("DATABASE1_HOST", "DATABASE1_URI"),
        ("DATABASE1_HOSTS", "DATABASE1_URI"),
        ("DATABASE1_URL", "DATABASE1_URI"),
        ("DATABASE1_SERVER", "DATABASE1_URI"),
        ("DATABASE1_NAME", "DATABASE1_URI"),
        ("DATABASE1_DB", "DATABASE1_URI"),
        ("DATABASE1_PORT", "DATABASE1_URI"),
        ("DATABASE1_PASSWORD", "DATABASE1_URI"),
    ],
)
def test_a_part_of_an_address_is_told_where_no_uri_is_given(name: str, variable: str) -> None:
    assert warnings(**{name: "stats.example.com"}) == (
        f"{name} is not read: where the database is, {variable} alone says",
    )
    assert warnings(**{name: "stats.example.com", variable: ANALYTICS}) == ()


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("STATS_URI", "for a further database, set DATALAYER_ALIASES=stats and STATS_URI"),
        ("STATS_URL", "for a further database, set DATALAYER_ALIASES=stats and STATS_URI"),
        ("DATABASE2_URI", "for a further database, set DATALAYER_ALIASES=database2 and"),
        ("MONGODB_URL", "MONGODB_URI is"),
        ("MONGO_URI", "MONGODB_URI is"),
        ("DATABASE_URL", "did you mean DATABASE1_URI?"),
    ],
)
def test_a_uri_that_is_not_read_is_told(name: str, advice: str) -> None:
    (warning,) = warnings(**{name: ANALYTICS})
    assert warning.startswith(f"{name} holds a MongoDB URI and is not read; {advice}")


@pytest.mark.parametrize("name", ["STATS_URI", "MONGO_URL", "DATABASE_URL", "MONGODB_URL"])
def test_a_uri_that_is_read_under_another_name_is_not_told(name: str) -> None:
    assert warnings(**{name: BUSINESS}) == ()


def test_the_uri_of_an_alias_is_read() -> None:
    assert warnings(STATS_URI=ANALYTICS, DATALAYER_ALIASES="stats") == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://u:p@db/app"),
        ("DATABASE_URI", "sqlite:///app.db"),
        ("REDIS_URL", "redis://localhost"),
        ("SENTRY_DSN", "https://key@sentry.example.com/1"),
        ("CELERY_BROKER_URL", "amqp://localhost"),
        ("MONGO_INITDB_ROOT_USERNAME", "root"),
        ("MONGODB_HOST", "db.example.com"),
        ("MONGODB_PORT", "27017"),
        ("MONGODB_DB", "app"),
        ("MONGODB_URI_FILE", "/run/secrets/uri"),
        ("DATABASE_MAX_POOL_SIZE", "5"),
        ("MONGO_MAX_POOL_SIZE", "5"),
        ("DATABASE1_SERVICE_HOST", "10.0.0.1"),
        ("DATABASE1_PORT", "tcp://10.0.0.1:27017"),
        ("AWS_PROFILE", "work"),
        ("STATE_REQUIRED", "1"),
        ("CURL", "1"),
        ("_", "/usr/bin/python"),
        ("PROGRAMFILES(X86)", "mongodb://localhost/x"),
    ],
)
def test_what_other_tools_set_is_not_told(name: str, value: str) -> None:
    assert warnings(**{name: value}) == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABSE1_MAX_POOL_SIZE", "DATABASE1_MAX_POOL_SIZE"),
        ("MONGDB_SLOW_MS", "MONGODB_SLOW_MS"),
        ("DATALAYR_REQUIRE_TLS", "DATALAYER_REQUIRE_TLS"),
        ("DATA_LAYER_ALIASES", "DATALAYER_ALIASES"),
        ("ARCHIV_MAX_POOL_SIZE", "ARCHIVE_MAX_POOL_SIZE"),
        ("DATABASE1_POOL_SIZE", "DATABASE1_MAX_POOL_SIZE"),
        ("ARCHIVE_MAX_SECONDS", "ARCHIVE_RETRY_MAX_SECONDS"),
    ],
)
def test_a_slip_in_a_prefix_or_a_word_that_is_left_out_is_told(name: str, meant: str) -> None:
    found = warnings(**{name: "3", "DATALAYER_ALIASES": "archive", "ARCHIVE_URI": BUSINESS})
    assert found == (f"{name} is not read; did you mean {meant}?",)


def test_a_name_with_the_packages_own_prefix_is_told() -> None:
    assert warnings(DATALAYER_COLOUR="red") == ("DATALAYER_COLOUR is not a variable of datalayer",)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATALAYER_RECORDER_SPOOL", "DATALAYER_RECORDER_SPOOL_DIRECTORY"),
        ("DATALAYER_RECORDER_SPOOL_DIR", "DATALAYER_RECORDER_SPOOL_DIRECTORY"),
        ("DATALAYER_RECORDER_SPOOL_MAX", "DATALAYER_RECORDER_SPOOL_MAX_MEGABYTES"),
        ("DATALAYER_RECORDER_BATCH", "DATALAYER_RECORDER_BATCH_SIZE"),
        ("DATALAYER_RECORDER_INTERVAL", "DATALAYER_RECORDER_INTERVAL_MS"),
        ("DATALAYER_RECORDER_POLICIES", "DATALAYER_RECORDER_POLICY"),
        ("MONGODB_MAX_POOL", "MONGODB_MAX_POOL_SIZE"),
        ("MONGODB_SERVER_SELECTION_TIMEOUT", "MONGODB_SERVER_SELECTION_TIMEOUT_MS"),
    ],
)
def test_the_end_left_out_is_a_slip(name: str, meant: str) -> None:
    assert problems(**{name: "x"}) == (
        f"{name} is not a variable of datalayer; did you mean {meant}?",
    )


def test_a_further_database_without_its_uri_is_told_where_it_seems_to_be() -> None:
    (problem,) = problems(DATALAYER_ALIASES="archive", ARCHIVE_URL=ANALYTICS)
    assert problem.startswith(
        "ARCHIVE_URI is not set (ARCHIVE_URL is set; did you mean ARCHIVE_URI?)"
    )


def test_settings_of_one_alias_do_not_fail_for_another() -> None:
    settings = Settings.from_env(
        {"MONGODB_URI": BUSINESS, "DATABASE1_URL": ANALYTICS}, only="default"
    )
    assert list(settings) == ["default"]
