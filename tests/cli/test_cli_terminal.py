"""What commands show on a terminal: they fit it, and leave it as it was."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import pty
import re
import socket
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest
from running import Run, installed

from datalayer import db
from datalayer.cli import main
from datalayer.cli.commands.config import config
from datalayer.cli.commands.doctor import doctor
from datalayer.cli.commands.status import status
from datalayer.cli.commands.top import top
from datalayer.cli.demo.screen import Screen
from datalayer.cli.output import Output
from datalayer.cli.parser import build_parser
from datalayer.doctor import examine
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

PASSWORD = "canary-of-terminals"
ALTERNATE_SCREEN = "\x1b[?1049h"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
LONG = Settings(
    databases={
        "default": "mongomock://customer_relationship_management_production_of_europe",
        "analytics_archive_of_europe": "mongomock://analytics_archive_of_europe_until_2024",
    }
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture(params=[60, 80, 120])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    columns: int = request.param
    return columns


def shown(command: Any, *arguments: Any, **options: Any) -> str:
    """What a command writes, on either stream, to a terminal without colours."""
    stdout, stderr = Terminal(), Terminal()
    command(Output(stdout=stdout, stderr=stderr), *arguments, **options)
    text = stdout.getvalue() + stderr.getvalue()
    return _STYLE.sub("", text)


def test_every_command_fits_the_terminal(width: int) -> None:
    settings = Settings.from_env({
        "MONGODB_URI": "mongodb://joe:secret@mongo-0.mongo-headless.production.svc.cluster.local,"
        "mongo-1.mongo-headless.production.svc.cluster.local/customer_relationship_management"
        "?replicaSet=production&tls=true"
    })  # fmt: skip
    texts = {
        "config": shown(config, settings),
        "status": shown(status, LONG),
        "top": shown(top, LONG, views=1),
        "doctor": shown(doctor, LONG),
    }
    too_wide = {
        (name, line)
        for name, text in texts.items()
        for line in text.splitlines()
        if len(line) > width
    }
    assert too_wide == set()
    assert "connected" in texts["status"]


def test_elsewhere_everything_is_shown_in_full(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("MONGODB_URI", "mongomock://customer_relationship_management_production")
    monkeypatch.setenv("DATABASE1_URI", "mongomock://numbers")
    outcome = run("status")
    assert "customer_relationship_management_production" in outcome.stdout
    assert "…" not in outcome.stdout


def test_the_demo_fits_the_terminal(width: int) -> None:
    stream = Terminal()
    screen = Screen(stream)
    screen.say("word " * 60)
    screen.table(("question", "index"), [("x" * 90, "a")])
    assert max(map(len, stream.getvalue().splitlines())) <= width


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


def test_every_help_page_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    too_wide = [
        (each.prog, line)
        for each in parsers(build_parser())
        for line in each.format_help().splitlines()
        if len(line) > 80
    ]
    assert too_wide == []


def test_one_view_of_top_stays_on_the_terminal() -> None:
    text = shown(top, LONG, views=1)
    assert ALTERNATE_SCREEN not in text
    assert "running operations" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_letters_gets_others(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")

    class Old(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    stdout = Old(io.BytesIO(), encoding=encoding)
    status(Output(stdout=stdout, stderr=Terminal()), LONG)
    text = stdout.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert "customer_" in text
    assert "..." in text


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_help_escapes_what_a_character_set_lacks(
    errors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors)
    monkeypatch.setattr("sys.stdout", stdout)
    assert main(["demo", "--help"]) == 0
    stdout.flush()
    assert b"datalayer_demo\\u2026" in stdout.buffer.getvalue()  # type: ignore[attr-defined]


def test_a_person_who_waits_is_told_what_for() -> None:
    ours, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/shop"
        words = ("--timeout", "2.5", "--uri", uri, "--database1-uri", "mongomock://numbers")
        with installed("status", *words, stderr=theirs) as process, open(ours, "rb") as screen:
            os.close(theirs)
            told = b""
            with contextlib.suppress(OSError):  # how Linux reports the end of a terminal
                while part := screen.read1():
                    told += part
    assert process.returncode == 3
    assert b"is not connected yet (no answer yet)" in b" ".join(told.split())


# A user without the role clusterMonitor


@pytest.fixture
def clerk(auth_mongod: EmbeddedMongo) -> Iterator[str]:
    """The URI of a user who may read and write in one database."""
    (host,) = auth_mongod.hosts
    with pymongo.MongoClient[dict[str, Any]](auth_mongod.uri) as client:
        client.terminals.command("createUser", "clerk", pwd=PASSWORD, roles=["readWrite"])
        yield f"mongodb://clerk:{PASSWORD}@{host}/terminals"
        client.terminals.command("dropAllUsersFromDatabase")


def test_what_top_may_not_see_is_no_failure_of_the_application(run: Run, clerk: str) -> None:
    outcome = run(
        "top", "--count", "3", "--interval", "0.1", "--json", "--uri", clerk,
        "--database1-uri", "mongomock://numbers",
    )  # fmt: skip
    assert outcome.code == 0
    assert '"problem": "the user lacks the role clusterMonitor"' in outcome.stdout
    assert '"failed": 0' in outcome.stdout
    assert '"failed": 1' not in outcome.stdout
    assert '"failed": 2' not in outcome.stdout


def test_what_doctor_may_not_see_is_no_failure_of_the_application(clerk: str) -> None:
    settings = Settings(databases={"default": clerk})
    with db.connected(settings):
        report = examine(settings, timeout=20)
        assert any("clusterMonitor" in finding.saw for finding in report.findings)
        assert db.status()["default"]["commands"]["failed"] == 0
