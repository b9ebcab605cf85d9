"""How numbers, durations, sizes and points in time are written on the page, and the tone of a
database's state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from datalayer.health import Grade, grade_of
from datalayer.web.page.markup import Markup, element

NOTHING = "—"
Tone: TypeAlias = Literal["good", "warn", "bad", "quiet"]
TONES: Mapping[Grade, Tone] = {"pass": "good", "warn": "warn", "fail": "bad"}

_UNITS_MS = ((3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms"), (0.001, "µs"))


def duration(milliseconds: float | None) -> str:
    """``4.2 ms``: in the unit that fits, with two digits at least where they are known."""
    if milliseconds is None:
        return NOTHING
    for unit_ms, unit in _UNITS_MS:
        amount = milliseconds / unit_ms
        if amount >= 1:
            return (
                f"{amount:.1f} {unit}"
                if amount < 9.95 and unit != "µs"
                else f"{amount:.0f} {unit}"
            )
    return "0 µs" if milliseconds <= 0 else "under 1 µs"


def seconds(amount: float | None) -> str:
    """A duration that is known in seconds, as ``duration`` writes it."""
    return duration(None if amount is None else amount * 1000)


def number(amount: float | None) -> str:
    """``1,234``: without decimals, and with a comma at each thousand."""
    return NOTHING if amount is None else f"{amount:,.0f}"


def compact(amount: float) -> str:
    """``1.5k``: short, for an axis."""
    for unit, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")):
        if amount >= unit:
            return f"{amount / unit:g}{letter}"
    return f"{amount:g}"


def size(count: float) -> str:
    """``1.5 MB``: bytes in the unit that fits."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} bytes"


def plural(count: int, one: str, several: str) -> str:
    """The number with the noun that goes with it."""
    return f"{number(count)} {one if count == 1 else several}"


def moment(iso: str | None, form: str = "%Y-%m-%d %H:%M:%S UTC") -> Markup:
    """A point in time, in UTC."""
    if iso is None:
        return Markup(NOTHING)
    at = datetime.fromisoformat(iso).astimezone(UTC)
    return element("time", at.strftime(form), datetime=iso)


def tone_of(entry: Mapping[str, Any]) -> Tone:
    """How bad a database's state is."""
    return TONES[grade_of(entry)]
