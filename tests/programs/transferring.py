"""Runs transfers, each in a child of its own that kills itself at a given write command: just
before it is sent, or just after it was answered.

A followed transfer finds changes in the source on its way, and is then asked for the cut-over.

Reads a line of JSON for each: the databases' URIs, the transfer's options (none to resume), and
the number of the command. Answers with a line: the number of commands, or null after a kill.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo import monitoring

from datalayer import Settings, db, transfer
from datalayer.connections.registry import registry
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.journal import Journal

sys.path.insert(0, str(Path(__file__).parents[1] / "transfer"))

from moving import change
from orders import answer_orders

WRITES = {
    "aggregate", "bulkWrite", "commitTransaction", "create", "createIndexes", "delete", "drop",
    "findAndModify", "insert", "update",
}  # fmt: skip


class Fate(monitoring.CommandListener):
    """Counts write commands, and ends the process at one of them."""

    def __init__(self, end_at: int | None, *, answered: bool) -> None:
        self.end_at = end_at
        self.answered = answered
        self.seen = itertools.count()
        self.count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if not self.answered:
            self.meet(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if self.answered:
            self.meet(event.command_name)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing was written."""

    def meet(self, name: str) -> None:
        if name in WRITES:
            number = next(self.seen)
            self.count = number + 1
            if number == self.end_at:
                os.kill(os.getpid(), signal.SIGKILL)


def changing(target: str) -> Callable[[transfer.Progress], None]:
    """Changes the source in the middle of the copy, and asks for the cut-over."""
    done: list[bool] = []

    def tell(progress: transfer.Progress) -> None:
        if progress.phase == "copy" and progress.done >= 25 and not done:
            done.append(True)
            change(registry.connection("default").database["messages"])
            Journal(Endpoint.of(target), "t").ask_for_cut_over()

    return tell


def work(order: dict[str, Any]) -> int:
    fate = Fate(order["end_at"], answered=order["answered"])
    monitoring.register(fate)
    databases = {
        alias: {"uri": uri, "auto_index": False, "auto_create": False, "min_pool_size": 0}
        for alias, uri in order["uris"].items()
    }
    with db.connected(Settings(databases=databases)):
        if order["verb"] == "run":
            plan = transfer.plan("t", **order["options"])
            fate.seen, fate.count = itertools.count(), 0
            transfer.run(plan, on_progress=changing(plan.target) if plan.follow else None)
        else:
            transfer.rollback("t")
        return fate.count


if __name__ == "__main__":
    answer_orders(work, int)
