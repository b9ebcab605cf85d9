"""Moves and copies documents between databases: planned, journaled, verified, and taken back on
request. The journal is in the target, so that another process can go on with a transfer.

- ``api``: run, resume, cut over, verify, roll back, show; ``recipes``: transfers run from cron
- ``planning``, ``plan``: what a transfer is to do, and whether it can
- ``runner``, ``job``: how it is done; ``journal``: how far it has got, and who is at work on it
- ``transform``: documents of another form in the target; ``raw``, ``codecs``: documents as bytes
- ``endpoint``: how either database is read and written
- ``report``: how a transfer stands; ``errors``: what stopped it
"""

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
