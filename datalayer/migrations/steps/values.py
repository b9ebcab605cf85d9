"""What is told of a step: how far it is, and how it has ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepProgress:
    """How far a step is."""

    number: int
    """The how-manieth step of its migration, from 1."""
    kind: str
    """The method of ``m`` that was called."""
    target: str
    """``alias.collection``."""
    done: int
    """Documents that were gone through."""
    total: int | None
    """About how many there are; ``None`` where that isn't known."""


@dataclass(frozen=True)
class StepOutcome:
    """How a step has ended or, in a dry run, what it would do."""

    number: int
    """The how-manieth step of its migration, from 1."""
    kind: str
    """The method of ``m`` that was called."""
    target: str
    """``alias.collection``."""
    matched: int
    """Documents that it concerned, or would."""
    changed: int
    """Documents that it has changed; 0 in a dry run."""
    seconds: float
    """How long it took, over all runs."""
    resumed: bool
    """Whether an earlier run had begun it."""
