"""Which field was perhaps renamed? Pure functions: nobody but the author knows."""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher

from datalayer.migrations.drift.values import UnknownField

_ALIKE = 0.6
_NUMBERS = frozenset({"int", "long", "double", "decimal"})


def new_name(field: UnknownField, missing: Collection[str]) -> str | None:
    """The field of the model that ``field`` was perhaps renamed to: none of its documents has
    that one, and the types fit. Where several do, one of ``missing``, which the model requires,
    comes first, then the one whose name is most alike; an optional one has to be alike."""
    candidates = [
        name
        for name, count in field.lacking.items()
        if count == field.documents and _fits(field.types, field.wanted.get(name, frozenset()))
    ]
    ranked = sorted(
        candidates, key=lambda name: (name in missing, _likeness(field.path, name)), reverse=True
    )
    best = next(iter(ranked), None)
    if best is None or (best not in missing and _likeness(field.path, best) < _ALIKE):
        return None
    return best


def _fits(types: frozenset[str], wanted: frozenset[str]) -> bool:
    if "number" in wanted:
        wanted |= _NUMBERS
    return not wanted or types - {"null"} <= wanted


def _likeness(one: str, other: str) -> float:
    """From 0 to 1. ``login`` and ``login_name`` are alike, whatever the length of the rest."""
    first, second = (name.rpartition(".")[2].lower().replace("_", "") for name in (one, other))
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) > 2 and shorter in longer:
        return 0.9
    return SequenceMatcher(None, first, second).ratio()
