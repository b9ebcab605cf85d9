"""``datalayer transfer``: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pymongo import MongoClient
from running import Run

from datalayer.cli.progress_output import telling
from datalayer.settings import Settings
from datalayer.transfer import Progress

RUN = (
    "transfer", "run", "--name", "chat-2025", "--collection", "msgs",
    "--from", "default", "--to", "database1",
)  # fmt: skip


@pytest.fixture
def source(configured: Settings) -> Any:
    with MongoClient(configured["default"].uri) as client:
        collection = client.get_default_database().msgs
        collection.insert_many(
            [{"_id": number, "year": 2024 + number % 2} for number in range(40)]
        )
        yield collection


@pytest.fixture
def target(configured: Settings) -> Any:
    with MongoClient(configured["database1"].uri) as client:
        yield client.get_default_database().msgs


def test_a_move_from_the_plan_to_the_rollback(run: Run, source: Any, target: Any) -> None:
    words = (*RUN[2:], "--filter", '{"year": 2025}', "--move", "--json")
    planned = run("transfer", "plan", *words)
    assert (planned.code, planned.document["plan"]["count"], target.count_documents({})) == (
        0,
        20,
        0,
    )
    done = run("transfer", "run", *words, "--yes")
    assert (done.code, done.document["transfer"]["deleted"]) == (0, 20)
    assert (source.count_documents({}), target.count_documents({})) == (20, 20)
    assert run("transfer", "verify", "chat-2025").code == 0
    shown = run("transfer", "show", "chat-2025", "--json").document
    assert (shown["transfer"]["state"], shown["plan"]["move"]) == ("done", True)
    assert "chat-2025" in run("transfer", "list").stdout
    assert run("transfer", "rollback", "chat-2025").code == 0
    assert (source.count_documents({}), target.count_documents({})) == (40, 0)


def test_a_forced_rollback_says_what_it_has_left(run: Run, source: Any, target: Any) -> None:
    assert run(*RUN, "--move", "--yes").code == 0
    source.insert_one({"_id": 3, "year": "anew"})
    refused = run("transfer", "rollback", "chat-2025")
    assert (refused.code, "made anew there: 1 (3)" in refused.stderr) == (1, True)
    forced = run("transfer", "rollback", "chat-2025", "--force")
    assert (forced.code, "are left as they are (3)" in forced.stderr) == (0, True)
    assert (source.count_documents({}), target.count_documents({})) == (40, 1)


def test_progress_is_json_lines_where_nobody_looks_on(run: Run, source: Any) -> None:
    lines = [json.loads(line) for line in run(*RUN).stderr.splitlines()]
    assert {line["phase"] for line in lines} == {"copy", "verify"}
    assert lines[-1]["done"] == lines[-1]["total"] == 40


def test_progress_is_a_bar_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    with telling(screen, "transfer") as tell:
        tell(Progress("t", "copy", 10, 20))
        tell(Progress("t", "copy", 20, 20))
        tell(Progress("t", "verify", 20, 20))
    assert "copy" in screen.getvalue()
    assert "20/20" in screen.getvalue()
    assert "verify" in screen.getvalue()


def test_a_move_has_to_be_confirmed(run: Run, source: Any) -> None:
    refused = run(*RUN, "--move")
    assert (refused.code, "confirm it with --yes" in refused.stderr) == (2, True)
    assert source.count_documents({}) == 40


def test_drift_ends_with_3(run: Run, source: Any) -> None:
    assert run(*RUN).code == 0
    source.delete_one({"_id": 3})
    found = run("transfer", "verify", "chat-2025", "--json")
    assert (found.code, found.document["transfer"]["gone"]) == (3, 1)
    assert run("transfer", "show", "chat-2025").code == 3


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("transfer", "run", "--collection", "msgs"), 2, "--name"),
        ((*RUN[:-1], "elsewhere"), 2, "no database has the alias 'elsewhere'"),
        ((*RUN, "--filter", "{"), 2, "no Extended JSON"),
        ((*RUN, "--set", "["), 2, "--set takes Extended JSON"),
        ((*RUN, "--model", "Nothing"), 2, "there is no model 'Nothing'"),
        (("transfer", "resume", "nothing"), 2, "knows a transfer 'nothing'"),
        (("transfer", "run", "nothing"), 2, "there is no recipe 'nothing'"),
    ],
)
def test_a_wrong_command_line_ends_with_2(
    run: Run, source: Any, words: tuple[str, ...], code: int, says: str
) -> None:
    outcome = run(*words)
    assert (outcome.code, says in outcome.stderr) == (code, True), outcome.stderr


def test_a_target_that_holds_data_ends_with_1(run: Run, source: Any, target: Any) -> None:
    target.insert_one({"_id": 1})
    outcome = run(*RUN)
    assert (outcome.code, "holds documents already" in outcome.stderr) == (1, True)


def test_a_recipe_with_nothing_due_ends_with_0(run: Run, source: Any) -> None:
    source.database.create_collection("chat_messages")
    outcome = run("transfer", "run", "history-chat-messages", "--option", "days=30", "--json")
    assert (outcome.code, outcome.document) == (0, {"transfer": None})
