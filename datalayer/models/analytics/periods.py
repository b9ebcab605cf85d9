"""Restricts a query to a period of time."""

from __future__ import annotations

from datetime import datetime


def within(name: str, since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    """The conditions for the time field ``name``: from ``since`` on and before ``until``."""
    conditions = {f"{name}__gte": since, f"{name}__lt": until}
    return {key: moment for key, moment in conditions.items() if moment is not None}
