"""The commands of the page about transfers do what the page says, in its order."""

from __future__ import annotations

import shlex
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from moving import Databases
from paths import DOCS
from waiting import wait_until

from datalayer import db, transfer
from datalayer.cli import main
from datalayer.models import ChatMessage, HistoryRecord

PAGE = DOCS / "transfer.md"


def blocks(language: str) -> list[str]:
    parts = PAGE.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return [part.partition("```")[0] for part in parts]


def test_the_commands_of_the_page_run_in_order(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONGODB_URI", databases.settings["default"].uri)
    monkeypatch.setenv("DATABASE1_URI", databases.settings["database1"].uri)
    db.disconnect_all()
    exec(compile(blocks("python")[0], str(PAGE), "exec"), {})  # two users and their messages
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    deeds = []
    with ThreadPoolExecutor() as other_terminal:
        for command in commands:
            words = shlex.split(command)[1:]
            if "--follow" in words:
                following = follow(words, other_terminal)
            elif "shop.moves:old_events" not in words:
                assert main(words) == 0, capsys.readouterr().err
                deeds.append(
                    (words[1], ChatMessage.objects.count(), HistoryRecord.objects.count())
                )
        assert following.result(timeout=60) == 0, "following ends with the cut-over"
    assert deeds == [
        ("plan", 3, 0),
        ("run", 0, 3),
        ("list", 0, 3),
        ("verify", 0, 3),
        ("show", 0, 3),
        ("rollback", 3, 0),
        ("plan", 3, 0),
        ("run", 0, 0),
        ("rollback", 3, 0),
        ("run", 3, 0),
        ("cut-over", 3, 0),
    ]
    assert transfer.show("chat-live").state == "done"


def follow(words: list[str], other_terminal: ThreadPoolExecutor) -> Future[int]:
    """Run a command that ends only after the cut-over, as in another terminal."""
    db.connect_all()
    following = other_terminal.submit(main, words)
    name = words[words.index("--name") + 1]
    wait_until(
        lambda: any(
            each.name == name and each.state == "following" for each in transfer.transfers()
        )
    )
    return following
