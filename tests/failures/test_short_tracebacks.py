"""How many lines a traceback has that a user meets at start, and what it leaves out."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymongo.errors
import pytest
from running_programs import python

from datalayer import BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DataLayerError,
    EmbeddedError,
    UnavailableError,
)
from datalayer.failures.operations import Operation, operation_error
from datalayer.failures.tracebacks import as_cause
from datalayer.settings import Settings

MOST_LINES = 12  # "Traceback", two for each of a few frames, and the error
NOWHERE = "mongodb://127.0.0.1:9"


class Parcel(BusinessDocument):
    pass


def lines_of(call: Callable[[], Any], kind: type[DataLayerError]) -> list[str]:
    """What Python prints when the application doesn't catch what a call raises."""
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    printed = "".join(traceback.format_exception(caught.value))
    assert "_OperationCancelled" not in printed
    assert "tenacity" not in printed
    return printed.splitlines()


def connect(uri: str, **options: Any) -> None:
    options = {"server_selection_timeout_ms": 100, "retry_attempts": 2, **options}
    db.connect_all(Settings(databases={"default": {"uri": uri, **options}}))


def test_a_wrong_port_takes_a_few_lines() -> None:
    lines = lines_of(lambda: connect(f"{NOWHERE}/shop"), ConnectError)
    assert len(lines) <= MOST_LINES
    assert "refuses connections on this port" in lines[-1]


def test_a_service_of_its_own_is_as_brief() -> None:
    settings = Settings(databases={"default": {"uri": f"{NOWHERE}/shop", "retry_attempts": 1,
                                               "server_selection_timeout_ms": 100}})  # fmt: skip
    lines = lines_of(lambda: db.database.connect(settings), ConnectError)
    assert len(lines) <= MOST_LINES


def test_a_wrong_password_takes_a_few_lines(auth_mongod: EmbeddedMongo) -> None:
    uri = f"mongodb://app:canary-wrong@{auth_mongod.hosts[0]}/shop?authSource=admin"
    lines = lines_of(lambda: connect(uri, server_selection_timeout_ms=10_000), AuthenticationError)
    assert len(lines) <= MOST_LINES
    assert "refused the credentials" in lines[-1]


def test_a_failed_handshake_says_what_openssl_said(mongod: EmbeddedMongo) -> None:
    uri = f"mongodb://{mongod.hosts[0]}/shop?tls=true&directConnection=true"
    lines = lines_of(lambda: connect(uri), ConnectError)
    assert len(lines) <= MOST_LINES
    assert "the TLS handshake fails" in lines[-1]


def test_wrong_settings_take_a_few_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in ("", "mongo://db.example.com", "mongodb://db.example.com"):
        monkeypatch.setenv("MONGODB_URI", uri)
        lines = lines_of(db.connect_all, ConfigurationError)
        assert len(lines) <= MOST_LINES
        assert "MONGODB_URI" in lines[-1]


def test_a_missing_extra_takes_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mongomock", None)
    lines = lines_of(lambda: connect("mongomock://shop"), ConfigurationError)
    assert len(lines) <= MOST_LINES
    assert "[mongomock]" in lines[-1]


def test_a_missing_server_takes_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAYER_MONGOD", "/nowhere/mongod")
    lines = lines_of(lambda: connect("embedded://shop"), EmbeddedError)
    assert len(lines) <= MOST_LINES


def test_an_operation_while_the_server_is_away_shows_the_drivers_error_in_one_line() -> None:
    connect(f"{NOWHERE}/shop", required=False, operation_timeout_ms=100)
    breaker = registry.connection().breaker
    assert breaker is not None
    breaker.reset()  # it would refuse the call without asking the driver
    with pytest.raises(UnavailableError) as caught:
        Parcel.objects.first()
    error = caught.value
    assert isinstance(error.__cause__, pymongo.errors.ServerSelectionTimeoutError)
    assert len(traceback.format_exception(error.__cause__)) == 1


def test_errors_that_the_driver_keeps_to_itself_are_no_cause_and_have_no_name() -> None:
    cancelled = pymongo.errors._OperationCancelled("operation cancelled")
    operation = Operation("find", "parcel", "default", ("db:27017",), "none", 1, 1, False)
    error = operation_error(cancelled, operation)
    assert as_cause(cancelled) is None
    assert "_OperationCancelled" not in str(error)
    assert "AutoReconnect" in str(error)


def test_a_cause_keeps_what_led_to_it_as_its_context() -> None:
    inner = ConnectionResetError("reset")
    exc = pymongo.errors.AutoReconnect("db:27017: reset")
    exc.__cause__ = exc.__context__ = inner
    assert as_cause(exc) is exc
    assert (exc.__cause__, exc.__context__, exc.__suppress_context__) == (None, inner, True)


# Without logging configured


def test_a_script_with_a_wrong_port_tells_so_and_ends_in_one_short_traceback(
    tmp_path: Path,
) -> None:
    script = tmp_path / "app.py"
    script.write_text("from datalayer import db\ndb.connect_all()\n")
    environment = {
        "PATH": os.environ["PATH"],
        "MONGODB_URI": f"{NOWHERE.replace('//', '//joe:hunter2@')}/shop",
        "MONGODB_RETRY_MAX_SECONDS": "2",
        "DATABASE1_URI": "mongomock://numbers",
    }
    run = python(script, cwd=tmp_path, env=environment)
    lines = run.stderr.splitlines()
    assert run.returncode == 1
    assert any("'default' at 127.0.0.1:9 is not connected yet" in line for line in lines)
    assert len(lines) <= 10
    assert lines[-1].startswith("datalayer.errors.ConnectError: could not connect 'default'")
    assert "hunter2" not in run.stderr


def test_a_handler_of_the_application_gets_each_record_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    heard: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    root, handler = logging.getLogger(), Listening()
    root.addHandler(handler)
    try:
        with pytest.raises(ConnectError):
            connect(f"{NOWHERE}/shop", server_selection_timeout_ms=50)
    finally:
        root.removeHandler(handler)
    assert len([message for message in heard if "attempt 1 of 2" in message]) == 1
    assert capsys.readouterr().err == ""
