"""What is told of migrations: how each one stands, what it would do, and what it did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from datalayer.migrations.definitions import Definition
from datalayer.migrations.history import UNDERWAY
from datalayer.migrations.standing import Standing
from datalayer.migrations.steps import StepOutcome


@dataclass(frozen=True)
class MigrationStatus:
    """How one migration stands."""

    number: int
    name: str
    """Its file's, without ``.py``."""
    state: str
    """``pending``, ``applied``; ``applying`` or ``undoing``, where a runner is at work or was
    stopped; ``failed``; and of applied ones ``edited``, where the file is another by now,
    ``missing``, where it is gone, ``newer``, where only later code has it."""
    applied_at: datetime | None
    """When it was applied; ``None`` where it isn't."""
    took_ms: int | None
    """How long that took, in milliseconds."""
    version: str | None
    """Of datalayer, which applied it."""
    documents: int | None
    """How many documents its steps changed."""
    error: str | None
    """Why it failed."""
    can_undo: bool | None
    """Whether the file has a way back; ``None`` where there is no file."""
    transaction: tuple[str, ...]
    """The aliases that it writes to in one transaction."""
    holder: str | None = None
    """The runner that is at work on it."""
    direction: str | None = None
    """What was done last: ``apply`` or ``undo``; ``None`` where nothing was."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        at = None if self.applied_at is None else self.applied_at.isoformat()
        return {**asdict(self), "applied_at": at, "transaction": list(self.transaction)}


@dataclass(frozen=True)
class PlannedMigration:
    """What a migration would do now."""

    number: int
    name: str
    direction: str
    """``apply`` or ``undo``."""
    begun: bool
    """Whether it was stopped in the middle: what its steps have done is not counted."""
    steps: tuple[StepOutcome, ...]
    """What each step would touch."""
    problem: str | None
    """Why the rest can't be foretold: it reads what it writes, say, or needs one before it."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class FinishedMigration:
    """What a migration has done."""

    number: int
    name: str
    direction: str
    """``apply`` or ``undo``."""
    took_ms: int
    """How long it took, in milliseconds; with what it took before, if it had been stopped."""
    resumed: bool
    """Whether it had been stopped in the middle before."""
    steps: tuple[StepOutcome, ...]

    @property
    def documents(self) -> int:
        """How many documents the steps changed."""
        return sum(step.changed for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "documents": self.documents}


def status_of(
    standing: Standing, definition: Definition | None, holder: str | None
) -> MigrationStatus:
    """What there is to tell of one migration, while ``holder`` is at work."""
    entry = standing.entry if standing.state != "pending" else None
    return MigrationStatus(
        standing.number,
        standing.name,
        standing.state,
        applied_at=None if entry is None else entry.applied_at,
        took_ms=None if entry is None else entry.took_ms,
        version=None if entry is None else entry.version,
        documents=None if entry is None else entry.documents,
        error=None if entry is None else entry.error,
        can_undo=None if definition is None else definition.undo is not None,
        transaction=() if definition is None else definition.transaction,
        holder=holder if standing.state in UNDERWAY.values() else None,
        direction=None if entry is None else entry.direction,
    )
