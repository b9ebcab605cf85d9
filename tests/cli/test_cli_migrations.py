"""``datalayer migrations``: what it prints, its exit codes, and what it refuses."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from running import Run, installed

from datalayer.settings import Settings

LIGHT = """
def apply(m):
    m.update("lamps", {"lit": None}, {"$set": {"lit": True}})


def undo(m):
    m.update("lamps", {"lit": True}, {"$unset": {"lit": 1}})
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lamps(configured: Settings) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](configured["default"].uri) as client:
        collection = client.get_default_database().lamps
        collection.insert_many([{"_id": number} for number in range(5)])
        yield collection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_light_lamps.py").write_text(LIGHT)
    return made


def test_from_the_plan_to_the_undo(run: Run, lamps: Any, folder: Path) -> None:
    planned = run("migrations", "plan", "--json").document["migrations"]
    assert [(each["name"], each["steps"][0]["matched"]) for each in planned] == [
        ("0001_light_lamps", 5)
    ]
    assert run("migrations", "check").code == 3
    assert lamps.count_documents({"lit": True}) == 0
    done = run("migrations", "apply", "--yes", "--json")
    assert (done.code, done.document["migrations"][0]["documents"]) == (0, 5)
    assert lamps.count_documents({"lit": True}) == 5
    assert run("migrations", "check").code == 0
    shown = run("migrations", "status").stdout
    assert "0001_light_lamps  applied" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert run("migrations", "undo", "--yes").code == 0
    assert lamps.count_documents({"lit": True}) == 0


def test_nothing_to_do_is_no_failure(run: Run, lamps: Any, folder: Path) -> None:
    assert run("migrations", "apply", "--yes").code == 0
    again = run("migrations", "apply", "--yes")
    assert (again.code, again.stderr) == (0, "there is nothing to apply\n")


def test_progress_is_json_lines_where_nobody_looks_on(run: Run, lamps: Any, folder: Path) -> None:
    lines = run("migrations", "apply", "--yes").stderr.splitlines()
    told = json.loads(lines[-1])
    assert (told["migration"], told["phase"]) == ("0001_light_lamps", "1. update default.lamps")
    assert told["done"] == told["total"] == 5


@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_without_a_terminal_it_wants_yes(run: Run, lamps: Any, folder: Path, verb: str) -> None:
    refused = run("migrations", verb)
    assert (refused.code, "--yes" in refused.stderr) == (2, True)
    assert run("migrations", "resolve", "1", "--as", "applied").code == 2
    assert lamps.count_documents({"lit": True}) == 0


@pytest.mark.parametrize(("answer", "code", "lit"), [("y\n", 0, 5), ("n\n", 1, 0), ("", 1, 0)])
def test_on_a_terminal_it_shows_the_counts_and_asks(
    run: Run,
    lamps: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    lit: int,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)
    assert run("migrations", "apply").code == code
    assert "0001_light_lamps" in screen.getvalue()
    assert "apply 1 migration? [y/N]" in screen.getvalue()
    assert lamps.count_documents({"lit": True}) == lit


def test_ctrl_c_ends_the_question_at_once(
    run: Run, lamps: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pressing(Terminal):
        def readline(self, size: int | None = -1) -> str:
            signal.raise_signal(signal.SIGINT)
            return "y"

    monkeypatch.setattr(sys, "stdin", Pressing())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert run("migrations", "apply").code == 130
    assert lamps.count_documents({"lit": True}) == 0


def test_a_check_fails_for_an_edited_file(run: Run, lamps: Any, folder: Path) -> None:
    run("migrations", "apply", "--yes")
    (folder / "0001_light_lamps.py").write_text(LIGHT + "# more\n")
    checked = run("migrations", "check", "--json")
    assert (checked.code, checked.document["edited"]) == (1, ["0001_light_lamps"])
    resolved = run("migrations", "resolve", "1", "--as", "applied", "--yes", "--json")
    assert resolved.document["migrations"][0]["state"] == "applied"
    assert run("migrations", "check").code == 0


def test_a_failure_says_what_to_do(run: Run, lamps: Any, folder: Path) -> None:
    (folder / "0002_fail.py").write_text("def apply(m):\n    1 / 0\n")
    failed = run("migrations", "apply", "--yes", "--json")
    assert (failed.code, failed.document["error"]["type"]) == (1, "MigrationError")
    assert "ZeroDivisionError in line 2" in failed.stderr
    told = run("migrations", "status").stderr
    assert "0002_fail has failed in apply: ZeroDivisionError in line 2" in told


def test_a_new_file_has_the_next_number_and_can_be_applied(
    run: Run, lamps: Any, folder: Path
) -> None:
    made = run("migrations", "new", "Add colours", "--json")
    assert Path(made.document["path"]) == folder / "0002_add_colours.py"
    assert run("migrations", "apply", "--yes").code == 0


def test_the_first_new_file_makes_the_folder(
    run: Run, configured: Settings, tmp_path: Path
) -> None:
    assert run("migrations", "status").code == 2
    assert run("migrations", "new", "first").code == 0
    assert (tmp_path / "migrations" / "0001_first.py").exists()


@pytest.mark.parametrize("name", ["", "../up", "größe", "a;b"])
def test_a_new_file_has_a_name(run: Run, configured: Settings, tmp_path: Path, name: str) -> None:
    made = run("migrations", "new", name)
    assert made.code in (0, 1)
    assert [path for path in tmp_path.rglob("*.py") if path.parent.name != "migrations"] == []


def test_a_function_of_a_migration_finds_its_neighbours_when_it_is_called(
    run: Run, lamps: Any, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "lamp_shop_helpers.py").write_text("LIT = True\n")
    (folder / "0002_late.py").write_text("def apply(m):\n    import lamp_shop_helpers\n")
    assert run("migrations", "apply", "--yes").code == 0


def test_bad_numbers_are_usage_errors(run: Run, configured: Settings) -> None:
    for words in (("--to", "-1"), ("--rate", "0"), ("--wait", "none")):
        assert run("migrations", "apply", "--yes", *words).code == 2


STOPPED = """
import os
import signal


def apply(m):
    for number in range(20):
        m.update("lamps", {}, {"$inc": {"times": 1}})
        if "LAMPS_STOP" in os.environ and m.database().lamps.find_one().get("times") == 2:
            os.kill(os.getpid(), signal.SIGTERM)
"""


def test_sigterm_ends_it_after_a_batch_and_it_is_gone_on_with(
    run: Run, lamps: Any, folder: Path
) -> None:
    (folder / "0002_count.py").write_text(STOPPED)
    words = ("migrations", "apply", "--yes", "--json")
    with installed(*words, env={**os.environ, "LAMPS_STOP": "1"}) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, json.loads(stdout)["stopped"]) == (3, True), stderr
    assert "the migrations have stopped, as asked" in stderr
    assert lamps.count_documents({"times": {"$lt": 20}}) == 5
    assert run("migrations", "apply", "--yes").code == 0
    assert lamps.count_documents({"times": 20}) == 5
