"""A dry run: whatever writes through models or databases is refused, and noted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from datalayer.context import read_only
from datalayer.errors import MigrationError


def nothing_is_written(note: Callable[[str], object]) -> AbstractContextManager[None]:
    """Refuse writes inside the block, and call ``note`` with what each was."""

    def refused(what: str) -> Exception:
        note(what)
        return MigrationError(
            f"{what} was to write in a dry run, which writes nothing: what this does isn't known, "
            "nor what comes after it; steps of m tell what they would do"
        )

    return read_only.refusing(refused)
