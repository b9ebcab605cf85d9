"""What is sent in the middle of counting: the garbage collector closes forgotten cursors there."""

from __future__ import annotations

import pytest

from datalayer.monitoring import commands
from datalayer.monitoring.commands import CommandMonitor


def test_a_command_sent_while_a_threads_record_is_made_is_counted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = CommandMonitor("default", 100, lambda name, facts: None)
    record = commands._Thread
    inside: list[int] = []

    def made() -> object:
        if not inside:
            inside.append(1)
            monitor.begin("killCursors", {"killCursors": "things"}, 1)
        return record()

    monkeypatch.setattr(commands, "_Thread", made)
    monitor.begin("find", {"find": "things"}, 2)
    assert (inside, monitor._threads.present.sent) == ([1], 2)
