"""A step before it is done: what it does, what it would touch, and whether it can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from datalayer.migrations.steps.batches import Work
from datalayer.migrations.steps.targets import Target

Tell: TypeAlias = Callable[[int, "int | None"], None]
"""Told how much is done, and of how much."""


def nothing() -> None:
    """There is nothing to look at."""


def anywhere() -> bool:
    """There is something to do whether a collection is there or not."""
    return True


@dataclass(frozen=True)
class Step:
    """A step that goes through documents."""

    kind: str
    target: Target
    arguments: Sequence[Any]
    """What makes it another step, should it differ when it is gone on with."""
    work: Work
    count: Callable[[], int]
    """How many documents it would touch."""
    check: Callable[[], None] = field(default=nothing)
    """Looks at the documents before anything is written, and raises ``MigrationError``."""


@dataclass(frozen=True)
class Single:
    """A step that is one thing, which may be done again."""

    kind: str
    target: Target
    arguments: Sequence[Any]
    do: Callable[[bool, Tell], tuple[int, int]]
    """Told whether an earlier run has begun it; gives how many documents it concerned, and how
    many it has changed."""
    count: Callable[[], int] = int
    """How many documents it would touch."""
    check: Callable[[], None] = field(default=nothing)
    """Raises ``MigrationError`` where it can't be done."""
    exists: Callable[[], bool] | None = None
    """Whether there is something to do; default: whether the collection is there."""
