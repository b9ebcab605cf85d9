"""The command line itself: grammar, exit codes, the two streams, and how a command ends early."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError, OperationFailure
from running import Run, installed
from running_programs import python
from waiting import wait_until

import datalayer
from datalayer import cli
from datalayer.cli.commands import status
from datalayer.cli.error_messages import message_of, traceback_of
from datalayer.errors import ConnectError
from datalayer.settings import Settings

COMMANDS = ("config", "demo", "doctor", "indexes", "ping", "shard", "status", "top")


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes ``status`` raise an error."""

    def fail(error: BaseException) -> None:
        def raise_it(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(status, "status", raise_it)
        monkeypatch.setenv("MONGODB_URI", "mongomock://shop")

    return fail


def test_help_names_every_command(run: Run) -> None:
    outcome = run("--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert [name for name in COMMANDS if f"    {name} " not in outcome.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    assert run(command, "--help").code == 0


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").stdout == f"{datalayer.__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("no-such-command",),
        ("indexes",),
        ("status", "--no-such-option"),
        ("ping", "--count", "0"),
        ("status", "--timeout", "-1"),
        ("status", "--timeout", "nan"),
        ("demo", "--keep"),
        ("demo", "--scale", "0"),
    ],
)
def test_a_wrong_command_line_is_told_on_standard_error_with_code_2(
    run: Run, words: tuple[str, ...]
) -> None:
    outcome = run(*words)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "datalayer: " in outcome.stderr.splitlines()[-1]


def test_a_wrong_command_line_is_told_in_json_too(run: Run) -> None:
    outcome = run("status", "--json", "--no-such-option")
    assert outcome.code == 2
    assert outcome.document["error"]["type"] == "UsageError"


def test_a_password_that_the_shell_split_is_not_repeated(run: Run) -> None:
    outcome = run("status", "--uri", "mongodb://joe:hun", "ter2@localhost/shop")
    assert outcome.code == 2
    assert "ter2" not in outcome.stderr


def test_a_uri_in_the_place_of_a_command_is_not_repeated(run: Run) -> None:
    outcome = run("mongodb://joe:hunter2@localhost/shop")
    assert outcome.code == 2
    assert "hunter2" not in outcome.stderr


@pytest.mark.parametrize("words", [("--json", "config"), ("config", "--json")])
def test_json_may_stand_before_and_after_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongomock://shop")
    assert list(run(*words).document) == ["settings", "warnings"]


def test_an_error_has_one_message_and_no_traceback(run: Run, fails: Any) -> None:
    fails(ConnectError("the server is away", alias="default"))
    outcome = run("status")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr == ("datalayer: the server is away (see docs/errors.md#connecterror)\n")


def test_an_error_is_a_document_with_json(run: Run, fails: Any) -> None:
    fails(ConnectError("the server is away", alias="default"))
    assert run("status", "--json").document == {
        "error": {"type": "ConnectError", "message": "the server is away", "alias": "default"}
    }


def test_verbose_adds_the_traceback(run: Run, fails: Any) -> None:
    fails(ConnectError("the server is away"))
    outcome = run("status", "--verbose")
    assert "in raise_it" in outcome.stderr
    assert outcome.stderr.endswith(
        "\ndatalayer: the server is away (see docs/errors.md#connecterror)\n"
    )


def test_an_unexpected_error_is_told_without_its_text(run: Run, fails: Any) -> None:
    fails(ValueError("hunter2"))
    outcome = run("status", "--verbose")
    assert outcome.code == 1
    assert "unexpected ValueError" in outcome.stderr
    assert "hunter2" not in outcome.stderr


def test_a_traceback_leaves_out_what_the_driver_says_of_documents() -> None:
    drivers = DuplicateKeyError("dup key: { email: 'joe@example.com' }", 11000, {})
    try:
        raise ConnectError("not prepared") from drivers
    except ConnectError as error:
        text = traceback_of(error)
    assert "DuplicateKeyError (error 11000" in text
    assert "joe@example.com" not in text


def test_a_driver_error_is_told_by_its_code() -> None:
    error = OperationFailure("who: joe", 13, {"codeName": "Unauthorized"})
    assert message_of(error) == (
        "the database operation failed: OperationFailure (error 13, Unauthorized)"
    )


def test_ctrl_c_ends_quietly_with_130(run: Run, fails: Any) -> None:
    fails(KeyboardInterrupt())
    outcome = run("status")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (130, "", "")


def test_ctrl_c_is_heard_while_a_connect_is_waited_for(silent_port: int) -> None:
    environment = {**os.environ, "MONGODB_URI": f"mongodb://127.0.0.1:{silent_port}/shop"}
    process = installed("--verbose", "status", "--timeout", "60", env=environment)
    with process:
        wait_until(lambda: has_connected(process.pid, silent_port))
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr


def has_connected(pid: int, port: int) -> bool:
    return f":{port:04X} 01 " in Path(f"/proc/{pid}/net/tcp").read_text()


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    environment = {**os.environ, "MONGODB_URI": "mongomock://shop"}
    process = installed("top", "--interval", "0.1", env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == ""


def test_the_installed_command_answers_with_json_and_its_exit_code(closed_port: int) -> None:
    uri = f"mongodb://127.0.0.1:{closed_port}/shop"
    process = installed("status", "--json", "--uri", uri, "--timeout", "0.5")
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert json.loads(stdout)["default"]["state"] == "unavailable"


def test_the_command_works_without_rich() -> None:
    program = """
import sys
sys.modules["rich"] = None
from datalayer.cli import main
sys.exit(main(["config"]))
"""
    environment = {**os.environ, "MONGODB_URI": "mongomock://shop"}
    done = python("-c", program, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_are_plain_functions_for_other_front_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from datalayer.cli.output import Output

    settings = Settings(databases={"default": "mongomock://shop"})
    assert status.status(Output(as_json=True), settings) == 0
    assert json.loads(capsys.readouterr().out)["default"]["connected"] is True


def test_main_is_all_that_the_package_exports() -> None:
    assert cli.__all__ == ["main"]
