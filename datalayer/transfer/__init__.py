"""Moves and copies documents between databases: planned, journaled, verified, and taken back on
request. The journal is in the target, so that another process can go on with a transfer."""

from __future__ import annotations

from datalayer.transfer.api import (
    cut_over,
    find,
    resume,
    rollback,
    run,
    show,
    transfers,
    verify,
)
from datalayer.transfer.plan import Part, Plan
from datalayer.transfer.planning.build import plan
from datalayer.transfer.recipes import plan_recipe, run_recipe
from datalayer.transfer.report import Report
from datalayer.transfer.runner.workers import Progress

__all__ = [
    "Part",
    "Plan",
    "Progress",
    "Report",
    "cut_over",
    "find",
    "plan",
    "plan_recipe",
    "resume",
    "rollback",
    "run",
    "run_recipe",
    "show",
    "transfers",
    "verify",
]
