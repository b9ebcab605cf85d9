"""What sort of thing is offered was called ``kind``."""

from __future__ import annotations

from datalayer.migrations import Migration


def apply(m: Migration) -> None:
    m.rename_field("advertisements", "kind", "category")


def undo(m: Migration) -> None:
    m.rename_field("advertisements", "category", "kind")
