"""Is the database as the code expects it? Asks the history and looks at the files, without
importing them: for deployments, and for each start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from datalayer.migrations.files import File
from datalayer.migrations.history import entries
from datalayer.migrations.standing import UNFINISHED, standings


@dataclass(frozen=True)
class MigrationCheck:
    """Whether the database is as the code expects it: the names of the migrations that make a
    difference."""

    pending: tuple[str, ...]
    unfinished: tuple[str, ...]
    """At work, stopped in the middle, or failed."""
    edited: tuple[str, ...]
    missing: tuple[str, ...]
    newer: tuple[str, ...]
    """Applied by later code. No hindrance: it is so while that is being rolled out."""

    @property
    def is_current(self) -> bool:
        """Whether all that this code has is applied, as it has it."""
        return not (self.pending or self.unfinished or self.edited or self.missing)

    @property
    def problems(self) -> tuple[str, ...]:
        """What there is to say, a line each."""
        told = {
            "not applied": self.pending,
            "begun and not finished": self.unfinished,
            "edited since they were applied": self.edited,
            "applied, and their files are gone": self.missing,
            "applied by later code": self.newer,
        }
        return tuple(f"{what}: {_listed(names)}" for what, names in told.items() if names)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "is_current": self.is_current}


def checked(files: Sequence[File]) -> MigrationCheck:
    """How the connected default database stands to ``files``."""
    found = standings(files, entries())

    def those(*states: str) -> tuple[str, ...]:
        return tuple(each.name for each in found if each.state in states)

    return MigrationCheck(
        pending=those("pending"),
        unfinished=those(*UNFINISHED),
        edited=those("edited"),
        missing=those("missing"),
        newer=those("newer"),
    )


_MOST_LISTED = 5


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
