"""Was a migration's transaction committed? One that doesn't cover the history notes itself in a
database that it does cover, so that nobody does it again whose runner died before its entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from datalayer.migrations.history import Entry
from datalayer.migrations.steps import StepOutcome
from datalayer.migrations.steps.checkpoints import STEPS
from datalayer.migrations.steps.targets import Target


def note_commit(alias: str, begun: Entry, outcomes: Sequence[StepOutcome]) -> None:
    """Note inside the transaction what it has done. A second one fails here."""
    steps = [asdict(outcome) for outcome in outcomes]
    Target(alias, STEPS).collection.insert_one({"_id": _id(begun), "steps": steps})


def committed(alias: str, begun: Entry) -> tuple[StepOutcome, ...] | None:
    """What the transaction has done, where it was committed; else ``None``."""
    stored = Target(alias, STEPS).collection.find_one({"_id": _id(begun)})
    return None if stored is None else tuple(StepOutcome(**each) for each in stored["steps"])


def _id(begun: Entry) -> str:
    return f"{begun.name}/{begun.run}/{begun.direction}"
