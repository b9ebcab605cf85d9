"""Names and texts that servers give can't command the terminal, in whatever command."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from running import Outcome, Run

from datalayer.cli.output import Output
from datalayer.cli.tables import Styled, Table
from datalayer.settings import Settings

EVIL = "evil\x1b[2J\x1b]0;owned\x07\x7f\x9b31m\u202e\r\ndatalayer: all is well"
RUN = (
    "transfer", "run", "--name", "t", "--collection", EVIL, "--from", "default", "--to",
    "database1",
)  # fmt: skip


def is_printable(outcome: Outcome) -> bool:
    lines = [*outcome.stdout.split("\n"), *outcome.stderr.split("\n")]
    forged = any(line.startswith("datalayer: all is well") for line in lines)
    return not forged and all(line.replace("\t", "").isprintable() for line in lines)


@pytest.fixture
def journal(configured: Settings) -> Any:
    """The journal of transfers, beside a source whose name is full of control characters."""
    with MongoClient[Any](configured["default"].uri) as client:
        client.get_default_database()[EVIL].insert_many([{"_id": EVIL}, {"_id": 2}])
        client.get_default_database()[EVIL].create_index(EVIL, name=EVIL)
        here = client[configured["database1"].database]
        yield here.datalayer_transfers


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["tables", "JSON"])
def test_a_transfer_of_such_a_collection(run: Run, journal: Any, as_json: tuple[str, ...]) -> None:
    for words in (
        ("transfer", "plan", *RUN[2:]), RUN, RUN, ("transfer", "verify", "t"),
        ("transfer", "list"), ("transfer", "show", "t"),
    ):  # fmt: skip
        outcome = run(*words, *as_json)
        assert is_printable(outcome), words
        if as_json:
            json.loads(outcome.stdout)
    shown = run("transfer", "show", "t", "--json").document
    assert shown["plan"]["parts"][0]["source"] == EVIL


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["tables", "JSON"])
def test_what_the_journal_says_of_a_transfer(
    run: Run, journal: Any, as_json: tuple[str, ...]
) -> None:
    assert run(*RUN).code == 0
    later = datetime.now(UTC) + timedelta(hours=1)
    journal.update_one({"_id": "t"}, {"$set": {"holder": EVIL, "until": later}})
    journal.insert_one({"_id": EVIL, "state": EVIL})
    for words in (
        ("transfer", "list"), ("transfer", "show", "t"), ("transfer", "rollback", "t"),
        ("transfer", "show", EVIL), ("transfer", "rollback", EVIL),
        ("transfer", "show", f"no {EVIL}"),
    ):  # fmt: skip
        outcome = run(*words, *as_json)
        assert is_printable(outcome), words
        if as_json:
            json.loads(outcome.stdout)


def test_a_damaged_transfer_is_shown_as_such(run: Run, journal: Any) -> None:
    assert run(*RUN).code == 0
    journal.update_one({"_id": "t"}, {"$set": {"checksum": "0"}})
    listed = run("transfer", "list", "--json")
    assert (listed.code, listed.document["transfers"][0]["state"]) == (0, "damaged")
    shown = run("transfer", "show", "t", "--json")
    assert (shown.code, shown.document["transfer"]["state"], shown.document["plan"]) == (
        3, "damaged", None,
    )  # fmt: skip
    assert "its plan was altered" in shown.stderr
    refused = run("transfer", "rollback", "t")
    assert (refused.code, "is damaged" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "words",
    [("status",), ("doctor",), ("indexes", "diff"), ("outbox", "list"), ("top", "--once")],
    ids=" ".join,
)
def test_every_other_command(run: Run, journal: Any, words: tuple[str, ...]) -> None:
    assert is_printable(run(*words))
    assert is_printable(run(*words, "--verbose"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("terminal", [False, True], ids=["plain", "rich"])
def test_tables_of_both_kinds(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal() if terminal else io.StringIO()
    table = Table((EVIL, "b"), [(EVIL, 1), (Styled(EVIL, "bold red"), None)], EVIL)
    Output(stdout=stream).show({}, [table])
    text = stream.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").replace("\x1b[1;3m", "")
    assert all(line.isprintable() for line in text.split("\n"))
    assert r"evil\x1b[2J" in "".join(text.split())


def test_errors_and_texts() -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    output = Output(stdout=stdout, stderr=stderr)
    output.error("one\n  two \x1b[2J")
    output.text("one\n\ttwo \x1b[2J\n")
    assert stderr.getvalue() == "datalayer: one\n  two \\x1b[2J\n"
    assert stdout.getvalue() == "one\n\ttwo \\x1b[2J\n"
