"""What is said while a database is being reached."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import dns.resolver
import pymongo.errors
import pytest

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConnectError
from datalayer.service import connecting_log
from datalayer.settings import Settings

PASSWORD = "canary-of-waiting"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """The messages of the log records with an event."""
    caplog.set_level(logging.WARNING, "datalayer")

    def messages(event: str) -> list[str]:
        return [r.getMessage() for r in caplog.records if vars(r).get("event") == event]

    return messages


def connect(uri: str, **options: Any) -> None:
    options = {"server_selection_timeout_ms": 800, "retry_attempts": 1, **options}
    db.database.connect(Settings(databases={"default": {"uri": uri, **options}}))


def test_a_wrong_port_is_told_before_the_first_attempt_has_ended(
    closed_port: int, told: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting_log, "_FIRST_WORD_SECONDS", 0.1)
    with pytest.raises(ConnectError):
        connect(f"mongodb://joe:{PASSWORD}@127.0.0.1:{closed_port}/shop", retry_max_seconds=20)
    assert told("waiting") == [
        f"'default' at 127.0.0.1:{closed_port} is not connected yet (the host refuses "
        "connections on this port); trying for up to 20 s more"
    ]


def test_a_server_that_says_nothing_is_told_as_such(
    silent_port: int, told: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting_log, "_FIRST_WORD_SECONDS", 0.1)
    with pytest.raises(ConnectError):
        connect(f"mongodb://127.0.0.1:{silent_port}/shop")
    (message,) = told("waiting")
    assert "(no answer yet)" in message


def test_an_attempt_that_failed_is_told_with_its_reason_and_where(
    closed_port: int, told: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting_log, "_FIRST_WORD_SECONDS", 60.0)
    with pytest.raises(ConnectError):
        connect(
            f"mongodb://joe:{PASSWORD}@127.0.0.1:{closed_port}/shop",
            server_selection_timeout_ms=50,
            retry_attempts=2,
        )
    (message,) = told("retry")
    assert message.startswith(
        f"'default' at 127.0.0.1:{closed_port} does not answer "
        "(the host refuses connections on this port), attempt 1 of 2; trying for up to "
    )
    assert told("waiting") == []


def test_a_server_that_is_well_is_not_waited_for_aloud(
    mongod: EmbeddedMongo,
    database_name: str,
    told: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting_log, "_FIRST_WORD_SECONDS", 60.0)
    connect(mongod.uri_for(database_name), server_selection_timeout_ms=10_000)
    assert told("waiting") == []
    assert [t.name for t in threading.enumerate() if t.name.startswith("datalayer-waiting")] == []


# A name of mongodb+srv that DNS doesn't know, not yet perhaps


@pytest.fixture
def unknown_name(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The driver finds no hosts; gives the aliases for which it looked."""
    asked: list[str] = []

    def open_client(settings: Any, *_: Any) -> None:
        asked.append(settings.alias)
        try:
            raise dns.resolver.NXDOMAIN
        except dns.resolver.NXDOMAIN as exc:
            raise pymongo.errors.ConfigurationError("no such name") from exc

    monkeypatch.setattr("datalayer.connections.connection.open_client", open_client)
    return asked


def test_a_name_without_hosts_is_looked_up_again(
    unknown_name: list[str], told: Callable[..., list[str]]
) -> None:
    with pytest.raises(ConnectError, match="the host name does not resolve") as caught:
        connect("mongodb+srv://db.example.com/shop", retry_attempts=2)
    assert caught.value.reason == "unknown_host"
    assert len(unknown_name) > 1
    assert len(told("retry")) == 1


def test_an_optional_database_whose_name_has_no_hosts_stops_nobody(
    unknown_name: list[str], told: Callable[..., list[str]]
) -> None:
    connect("mongodb+srv://db.example.com/shop", required=False)
    (message,) = told("unavailable")
    assert message.endswith("it joins when you call connect again")
    assert db.database.state == "disconnected"
    assert "does not resolve" in db.database.status()["last_error"]
