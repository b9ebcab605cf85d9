"""Transfers as steps: called after their migration, gone on with from their own journal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from datalayer import transfer
from datalayer.migrations.steps.kinds.step import Single, Tell, anywhere
from datalayer.migrations.steps.targets import Target

_LONGEST_NAME = 50
_WAIT_SECONDS = 60.0
"""For the end of the lease of a transfer whose runner was killed."""


def transfer_into(target: str, name: str, options: Mapping[str, Any]) -> Single:
    """``m.transfer``; ``name`` is what the transfer is called."""
    if any(report.name == name for report in transfer.transfers()):
        plan = transfer.find(name, target).plan
    else:
        plan = transfer.plan(name, target=target, **options)

    def run(resumed: bool, tell: Tell) -> tuple[int, int]:
        def on_progress(one: transfer.Progress) -> None:
            tell(one.done, one.total)

        if any(report.name == name for report in transfer.transfers()):
            report = transfer.resume(
                name, target=target, wait_seconds=_WAIT_SECONDS, on_progress=on_progress
            )
        else:
            report = transfer.run(plan, on_progress=on_progress)
        return plan.count, report.copied

    into = Target(target, ", ".join(part.target for part in plan.parts))
    return Single("transfer", into, (target,), run, lambda: plan.count, exists=anywhere)


def undo_transfers(target: str, migration: str) -> Single:
    """``m.undo_transfers``."""

    def undo(resumed: bool, tell: Tell) -> tuple[int, int]:
        taken = 0
        for report in list(_standing(migration, target)):
            transfer.rollback(
                report.name,
                target=target,
                wait_seconds=_WAIT_SECONDS,
                on_progress=lambda one: tell(one.done, one.total),
            )
            taken += report.copied
        return taken, taken

    def count() -> int:
        return sum(each.copied for each in _standing(migration, target))

    into = Target(target, "transfers")
    return Single("undo_transfers", into, (target,), undo, count, exists=anywhere)


def name_of(migration: str, number: int, run: str) -> str:
    """What the transfer is called that a step makes; by its beginning it is found again."""
    return f"{_beginning(migration)}{number}-{run[:8]}"


def _standing(migration: str, target: str) -> Iterator[transfer.Report]:
    """The transfers of a migration into ``target`` that weren't taken back, the latest first."""
    for report in transfer.transfers():
        mine = report.name.startswith(_beginning(migration)) and report.target == target
        if mine and report.state != "rolled_back":
            yield report


def _beginning(migration: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', migration)[:_LONGEST_NAME]}-"
