"""Points in time as MongoDB keeps them: UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["in_utc", "utc_now"]


def utc_now() -> datetime:
    """Now, aware, in UTC, cut to the millisecond."""
    return in_utc(datetime.now(UTC))


def in_utc(value: datetime) -> datetime:
    """``value`` in UTC, cut to the millisecond as BSON does; a naive one is taken to be UTC."""
    value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)
