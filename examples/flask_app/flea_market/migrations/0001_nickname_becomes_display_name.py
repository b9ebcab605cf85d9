"""A profile's name was called ``nickname``."""

from __future__ import annotations

from datalayer.migrations import Migration


def apply(m: Migration) -> None:
    m.rename_field("profiles", "nickname", "display_name")


def undo(m: Migration) -> None:
    m.rename_field("profiles", "display_name", "nickname")
