"""Every keyword argument of ``mongoengine.connect`` and of PyMongo's client is carried into the
URI, or refused with what to write instead."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bson.codec_options import DatetimeConversion
from django_in_process import django_site
from flask_applications import clean_environment
from pymongo import ReadPreference, common, monitoring
from pymongo.server_api import ServerApi

from datalayer import ConfigurationError, Settings
from datalayer.contrib.django import read_settings
from datalayer.contrib.flask import settings_from
from datalayer.settings.mongoengine.connect_arguments import variables_of_connects, with_plain_keys
from datalayer.settings.mongoengine.connect_options import TAKEN, options_of

__all__ = ["clean_environment"]

URI = "mongodb://localhost/shop"


def options(**arguments: Any) -> dict[str, str]:
    problems: list[str] = []
    found = dict(options_of(with_plain_keys(arguments), problems.append))
    assert problems == []
    return found


def refusal(**arguments: Any) -> str:
    problems: list[str] = []
    found = dict(options_of(with_plain_keys(arguments), problems.append))
    assert found == {}
    (problem,) = problems
    return problem


TAKEN_OVER: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "j": ({"j": True}, {"journal": "true"}),
    "compressors": ({"compressors": ["zstd", "zlib"]}, {"compressors": "zstd,zlib"}),
    "compressors as text": ({"compressors": "zstd"}, {"compressors": "zstd"}),
    "no certificates": (
        {"ssl": True, "ssl_cert_reqs": ssl.CERT_NONE},
        {"ssl": "true", "tlsAllowInvalidCertificates": "true"},
    ),
    "no certificates, by name": (
        {"ssl_cert_reqs": "CERT_NONE"},
        {"tlsAllowInvalidCertificates": "true"},
    ),
    "no certificates, by number": ({"ssl_cert_reqs": 0}, {"tlsAllowInvalidCertificates": "true"}),
    "certificates": ({"ssl_cert_reqs": ssl.CERT_REQUIRED}, {}),
    "optional certificates": ({"ssl_cert_reqs": ssl.CERT_OPTIONAL}, {}),
    "host names": ({"ssl_match_hostname": True}, {}),
    "no host names": ({"ssl_match_hostname": False}, {"tlsAllowInvalidHostnames": "true"}),
    "authorities": ({"ssl_ca_certs": "/a/ca.pem"}, {"tlsCAFile": "/a/ca.pem"}),
    "a certificate": ({"ssl_certfile": "/a/c.pem"}, {"tlsCertificateKeyFile": "/a/c.pem"}),
    "revoked ones": ({"ssl_crlfile": Path("/a/r.pem")}, {"tlsCRLFile": "/a/r.pem"}),
    "its password": ({"ssl_pem_passphrase": "p"}, {"tlsCertificateKeyFilePassword": "p"}),
    "the stable API": ({"server_api": ServerApi("1")}, {}),
    "no listeners": ({"event_listeners": []}, {}),
    "properties": (
        {"authmechanismproperties": {"SERVICE_NAME": "m", "CANONICALIZE_HOST_NAME": True}},
        {"authMechanismProperties": "SERVICE_NAME:m,CANONICALIZE_HOST_NAME:true"},
    ),
    "old write concern": ({"wtimeout": 5, "w": "majority"}, {"wTimeoutMS": "5", "w": "majority"}),
    "a read preference": (
        {"read_preference": ReadPreference.NEAREST},
        {"readPreference": "nearest"},
    ),
    "an old read preference": ({"read_preference": 2}, {"readPreference": "secondary"}),
    "tags": ({"readPreferenceTags": [{"dc": "eu"}]}, {"readPreferenceTags": "dc:eu"}),
    "UUIDs by number": ({"uuidRepresentation": 3}, {"uuidRepresentation": "pythonLegacy"}),
    "dates": (
        {"datetime_conversion": DatetimeConversion.DATETIME_CLAMP},
        {"datetime_conversion": "DATETIME_CLAMP"},
    ),
    "truth as text": ({"tz_aware": "False", "retryWrites": 0}, {
        "tz_aware": "false", "retryWrites": "false",
    }),
    "a whole number": ({"localThresholdMS": 15.0}, {"localThresholdMS": "15"}),
    "what changes nothing": ({"connect": False, "slaves": None, "is_slave": False}, {}),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN_OVER)
def test_what_a_uri_can_say_is_taken(what: str) -> None:
    given, expected = TAKEN_OVER[what]
    assert options(**given) == expected


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "listeners": (
        {"event_listeners": [monitoring.CommandListener()]},
        "register them with pymongo.monitoring.register() before connecting",
    ),
    "a strict API": ({"server_api": ServerApi("1", strict=True)}, "leave it out"),
    "a key file": ({"ssl_keyfile": "/a/k.pem"}, "tlsCertificateKeyFile"),
    "a zone": ({"tzinfo": object()}, "astimezone()"),
    "a class": ({"document_class": dict}, "as_pymongo()"),
    "types": ({"type_registry": object()}, "to_mongo and to_python"),
    "encryption": ({"auto_encryption_opts": object()}, "ClientEncryption"),
    "a selector": ({"server_selector": print}, "readPreferenceTags"),
    "a driver": ({"driver": object()}, "appname"),
    "a validator": ({"srv_host_validator": print}, "srvAllowedHostsSuffix"),
    "hosts of OIDC": ({"authOIDCAllowedHosts": ["a"]}, "leave it out"),
    "several tags": ({"readPreferenceTags": ["a:b", "c:d"]}, "write readPreferenceTags into"),
    "limits": (
        {"read_preference": SimpleNamespace(mongos_mode="nearest", max_staleness=120)},
        "write it, readPreferenceTags and maxStalenessSeconds into the URI",
    ),
    "numbers of another kind": ({"maxPoolSize": object()}, "write maxPoolSize into the URI"),
    "a slip": ({"pasword": "x"}, "did you mean password?"),
    "another spelling": ({"max_pool_size": 5}, "did you mean maxPoolSize?"),
    "odd certificates": ({"ssl_cert_reqs": object()}, "leave it out"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_none_can_say_is_refused_with_what_to_write(what: str) -> None:
    given, expected = REFUSED[what]
    (key,) = given
    problem = refusal(**given)
    assert problem.startswith(f"{key.lower()} can't be carried over")
    assert expected in problem


def test_every_keyword_of_the_driver_is_known() -> None:
    known = {*TAKEN, *(key.lower() for given, _ in REFUSED.values() for key in given)}
    known |= {"enable_overload_retargeting", "max_adaptive_retries"}  # their other spelling is
    assert {*common.VALIDATORS} - known == set()


def test_a_refusal_shows_no_value() -> None:
    assert "hunter2" not in refusal(pasword="hunter2")


# Flask's and Django's settings


def test_the_settings_that_come_out_are_valid() -> None:
    older = {
        "db": "shop", "j": True, "compressors": ["zlib"], "tz_aware": False, "connect": False,
        "server_api": ServerApi("1"), "authentication_source": "admin",
        "username": "a", "password": "b", "tls": True, "ssl_cert_reqs": ssl.CERT_NONE,
    }  # fmt: skip
    settings = settings_from({"MONGODB_SETTINGS": older})
    assert settings["default"].secret_uri() == (
        "mongodb://a:b@localhost:27017/shop?journal=true&compressors=zlib&tz_aware=false"
        "&authSource=admin&tls=true&tlsAllowInvalidCertificates=true"
    )


def test_django_mongoengines_databases_are_understood() -> None:
    databases = {
        "default": {"name": "shop", "host": "localhost", "username": None, "tz_aware": True},
        "eu-archive": {"name": "old", "host": "mongodb://localhost"},
    }
    with django_site(MONGODB_DATABASES=databases, DATALAYER={"EU_ARCHIVE_SLOW_MS": 3}):
        settings = read_settings()
    assert settings["default"].uri == "mongodb://localhost:27017/shop?tz_aware=true"
    assert (settings["eu-archive"].database, settings["eu-archive"].slow_ms) == ("old", 3)


def test_the_dict_of_datalayer_goes_before_it_and_adds_aliases() -> None:
    databases = {"default": {"name": "shop"}, "archive": {"name": "old"}}
    own = {"MONGODB_URI": f"{URI}_own", "DATALAYER_ALIASES": ["reports"], "REPORTS_URI": URI}
    with django_site(MONGODB_DATABASES=databases, DATALAYER=own):
        settings = read_settings()
    assert settings["default"].database == "shop_own"
    assert {*settings} == {"default", "database1", "archive", "reports"}


@pytest.mark.parametrize("databases", [["shop"], {"default": "shop"}], ids=["list", "text"])
def test_a_wrong_form_of_it_is_refused(databases: Any) -> None:
    with (
        django_site(MONGODB_DATABASES=databases, DATALAYER={"MONGODB_URI": URI}),
        pytest.raises(ConfigurationError, match="MONGODB_DATABASES must be a dict of aliases"),
    ):
        read_settings()


def test_what_it_can_not_say_is_refused_by_name() -> None:
    databases = {"default": {"name": "shop", "tzinfo": object(), "colour": "red"}}
    with (
        django_site(MONGODB_DATABASES=databases, DATALAYER={}),
        pytest.raises(ConfigurationError) as caught,
    ):
        read_settings()
    beginnings = [problem.partition(" can't")[0] for problem in caught.value.problems]
    assert beginnings == [
        "MONGODB_DATABASES, alias 'default': tzinfo", "MONGODB_DATABASES, alias 'default': colour",
    ]  # fmt: skip


def test_an_alias_twice_is_a_problem() -> None:
    problems: list[str] = []
    variables_of_connects([("a-b", {"db": "x"}), ("a.b", {"db": "y"})], "HERE", problems)
    assert problems == ["HERE has the alias 'a.b' twice; keep one"]


# Keys of one database


def problems_of(config: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings_from(config)
    return list(caught.value.problems)


def test_a_mock_that_was_asked_for_is_not_left_out() -> None:
    (problem,) = problems_of({"MONGODB_URI": URI, "MONGODB_IS_MOCK": True})
    assert problem == (
        "app.config: MONGODB_IS_MOCK is not read; write MONGODB_URI=mongomock://NAME"
    )


def test_naive_times_that_were_asked_for_are_not_left_out() -> None:
    (problem,) = problems_of({"MONGODB_URI": URI, "MONGODB_TZ_AWARE": False})
    assert problem.startswith("app.config: MONGODB_TZ_AWARE is not read")
    assert "mongodb://host/name?tz_aware=false" in problem


NO_MATTER: dict[str, dict[str, Any]] = {
    "connecting later": {"MONGODB_URI": URI, "MONGODB_CONNECT": False},
    "no mock": {"MONGODB_URI": URI, "MONGODB_IS_MOCK": False},
    "a mock": {"MONGODB_URI": "mongomock://shop", "MONGODB_IS_MOCK": True},
    "aware": {"MONGODB_URI": URI, "MONGODB_TZ_AWARE": True},
    "naive in both": {"MONGODB_URI": f"{URI}?tz_aware=false", "MONGODB_TZ_AWARE": False},
    "none": {"MONGODB_URI": URI, "MONGODB_TZ_AWARE": None},
}


@pytest.mark.parametrize("what", NO_MATTER)
def test_what_they_say_that_is_so_anyway_is_no_problem(what: str) -> None:
    assert settings_from(NO_MATTER[what])["default"].database == "shop"


def test_without_a_uri_all_of_them_are_named() -> None:
    flat = {"MONGODB_DB": "a", "MONGODB_CONNECT": False, "MONGODB_TZ_AWARE": True}
    (problem,) = problems_of(flat)
    assert problem.startswith("app.config has MONGODB_CONNECT, MONGODB_DB, MONGODB_TZ_AWARE, fl")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("MONGODB_PASWORD", "MONGODB_PASSWORD"), ("MONGODB_USERNAM", "MONGODB_USERNAME"),
        ("MONGODB_TZAWARE", "MONGODB_TZ_AWARE"), ("MONGODB_SETINGS", "MONGODB_SETTINGS"),
        ("MONGODB_ISMOCK", "MONGODB_IS_MOCK"),
    ],
)  # fmt: skip
def test_a_slip_in_one_of_them_names_both(written: str, meant: str) -> None:
    (problem,) = problems_of({"MONGODB_URI": URI, written: "hunter2"})
    assert problem.startswith(f"app.config: {written} is not read; did you mean {meant}?")
    assert "hunter2" not in problem


@pytest.mark.parametrize("name", ["MONGODB_VERSION", "MONGODB_SERVICE_HOST", "MONGODB_LOG_LEVEL"])
def test_other_names_are_left_alone(name: str) -> None:
    assert settings_from({"MONGODB_URI": URI, name: "x"})["default"].database == "shop"
    assert Settings.from_env({"MONGODB_URI": URI, name: "x"}).warnings == ()


# In the environment

WARNED: dict[str, tuple[dict[str, str], list[str]]] = {
    "a slip": ({"MONGODB_PASWORD": "hunter2"}, ["MONGODB_PASWORD", "MONGODB_PASSWORD"]),
    "a slip for another": ({"DATABASE1_PASWORD": "hunter2"}, ["DATABASE1_PASSWORD"]),
    "naive times": ({"MONGODB_TZ_AWARE": "false"}, ["MONGODB_TZ_AWARE", "?tz_aware=false"]),
    "a mock": ({"MONGODB_IS_MOCK": "1"}, ["MONGODB_IS_MOCK", "mongomock://NAME"]),
}


@pytest.mark.parametrize("what", WARNED)
def test_there_it_is_a_warning(what: str) -> None:
    given, expected = WARNED[what]
    (warning,) = Settings.from_env({"MONGODB_URI": URI, **given}).warnings
    assert [text for text in expected if text not in warning] == []
    assert "hunter2" not in warning


def test_there_too_what_changes_nothing_is_left_alone() -> None:
    given = {"MONGODB_CONNECT": "false", "MONGODB_TZ_AWARE": "true", "MONGODB_PASSWORD": "x"}
    assert Settings.from_env({"MONGODB_URI": URI, **given}).warnings == ()
