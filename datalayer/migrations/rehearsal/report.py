"""What is told of a rehearsal. Counts, ids and names, never contents."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """The documents of one collection that were tried."""

    alias: str
    collection: str
    documents: int
    """How many were taken, at random."""
    total: int
    """How many there are, by the server's estimate."""

    @property
    def growth(self) -> float | None:
        """How many times as many there are; ``None`` where there were none to take."""
        return self.total / self.documents if self.documents else None


@dataclass(frozen=True)
class RehearsedStep:
    """One step of a migration on the sample; with the number 0 and the kind ``own code``, what
    its functions did besides steps, where that took a while."""

    migration: str
    number: int
    kind: str
    target: str
    matched: int
    changed: int
    seconds: float
    whole_seconds: float | None
    """About how long it would take on all documents, on a server like this one without other
    members; ``None`` where it isn't known how many there are."""


@dataclass(frozen=True)
class NotRestored:
    """A collection that undoing has not brought back as it was."""

    alias: str
    collection: str
    what: str
    """``changed``, ``missing`` or ``new`` documents, or ``indexes`` or ``options``."""
    documents: int
    ids: tuple[str, ...]
    """Up to five ids of them."""


@dataclass(frozen=True)
class Rehearsal:
    """How the pending migrations went on the sample."""

    migrations: tuple[str, ...]
    """Those that were tried."""
    samples: tuple[Sample, ...]
    steps: tuple[RehearsedStep, ...]
    findings_before: int
    """How many rules of the models documents of the sample broke before."""
    findings: tuple[dict[str, Any], ...]
    """What ``schema check`` found afterwards, as its JSON."""
    undone: bool
    """Whether all of them were undone."""
    not_restored: tuple[NotRestored, ...]
    problem: str | None = None
    """Why it ended early."""
    remarks: tuple[str, ...] = ()
    """What the sample can't tell."""

    @property
    def ok(self) -> bool:
        """Whether everything was applied and, as far as it can be, undone without a trace."""
        return self.problem is None and not self.not_restored

    @property
    def whole_seconds(self) -> float | None:
        """About how long all steps would take on all documents."""
        known = [step.whole_seconds for step in self.steps if step.whole_seconds is not None]
        return sum(known) if len(known) == len(self.steps) else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok, "whole_seconds": self.whole_seconds}
