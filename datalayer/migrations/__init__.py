"""Changes the shape of stored documents: files of an application's, each applied once, in their
order, by one process at a time, planned before and undone on request. What is applied is in the
history, in the default database, and how far a file is as well.

- ``api``: status, plan, apply, undo, check, resolve; ``template``: a new file
- ``files``, ``definitions``: which migrations there are, what they say, in which order
- ``history``: what is applied, and who is at work on it
- ``standing``: what comes next, or what has to be put right before
- ``planning``: what would be done; ``runner``: how it is done; ``steps``: what a file can do
- ``checking``: whether the database is as the code expects it; ``at_connect``: asked at a start
- ``report``: what is told of all that
"""

from __future__ import annotations

from datalayer.migrations.api import apply, check, plan, resolve, status, undo
from datalayer.migrations.checking import MigrationCheck
from datalayer.migrations.report import (
    FinishedMigration,
    MigrationStatus,
    PlannedMigration,
)
from datalayer.migrations.steps import Migration, StepOutcome, StepProgress
from datalayer.migrations.template import new

__all__ = [
    "FinishedMigration",
    "Migration",
    "MigrationCheck",
    "MigrationStatus",
    "PlannedMigration",
    "StepOutcome",
    "StepProgress",
    "apply",
    "check",
    "new",
    "plan",
    "resolve",
    "status",
    "undo",
]
