"""Points in time as MongoDB keeps them: UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, in UTC, cut to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def in_utc(value: datetime) -> datetime:
    """``value`` in UTC, cut to the millisecond as BSON does; a naive one is taken to be UTC."""
    if value.tzinfo is UTC:
        cut = value.microsecond % 1000
        return value.replace(microsecond=value.microsecond - cut) if cut else value
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)
