"""What kind of command it is: its filter, pipeline or changes by the names of their fields, with
``?`` in the place of each value. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEPEST = 6
_WIDEST = 20
_FILTERED = ("filter", "query", "q")
_SWITCHES = frozenset({"sort", "projection"})
"""Whose numbers are directions and switches, rather than contents."""
_NAMES_AND_NUMBERS = frozenset({"key", "limit"})  # of ``distinct``, and of ``find``
_LABELS = {"u": "to", "update": "to"}
_PARTS = {
    "find": ("filter", "sort", "projection", "limit"),
    "count": ("query",),
    "distinct": ("key", "query"),
    "aggregate": ("pipeline",),
    "findAndModify": ("query", "sort", "update", "remove"),
}
_STATEMENTS = {"update": "updates", "delete": "deletes"}


def shape_of(name: str, command: Mapping[str, Any]) -> str:
    """The command's parts that tell its kind, as ``{email: ?} sort {name: 1}``.

    Commands that differ in nothing but values have the same shape. Of documents that are inserted
    nothing is told.
    """
    if name in _STATEMENTS:
        statements = command.get(_STATEMENTS[name]) or [{}]
        first = statements[0] or {}
        return _parts(first, ("q", "u")) + (" and others" if len(statements) > 1 else "")
    return _parts(command, _PARTS.get(name, ()))


def _parts(command: Mapping[str, Any], parts: tuple[str, ...]) -> str:
    said = []
    for part in parts:
        value = command.get(part)
        if value is None or value is False or value == {}:
            continue
        as_it_is = part in _NAMES_AND_NUMBERS
        text = value if as_it_is else redacted(value, switches=part in _SWITCHES)
        said.append(text if part in _FILTERED else f"{_LABELS.get(part, part)} {text}")
    return " ".join(said)


def redacted(value: Any, *, switches: bool = False, depth: int = 0) -> str:
    """``value`` with the names of its fields and operators, and ``?`` for what they are set to;
    with ``switches``, -1, 0 and 1 are shown."""
    if isinstance(value, Mapping):
        if depth == _DEEPEST:
            return "{…}"
        inside = [
            f"{name}: {redacted(each, switches=switches, depth=depth + 1)}"
            for name, each in list(value.items())[:_WIDEST]
        ]
        more = ["…"] if len(value) > _WIDEST else []
        return "{" + ", ".join(inside + more) + "}"
    if isinstance(value, (list, tuple)):
        return _list(value, switches=switches, depth=depth)
    return str(int(value)) if switches and value in (-1, 0, 1) else "?"


def _list(value: list[Any] | tuple[Any, ...], *, switches: bool, depth: int) -> str:
    """Equal neighbours are shown once: lists of two and of three values are of one shape."""
    if depth == _DEEPEST:
        return "[…]"
    inside: list[str] = []
    for each in value[:_WIDEST]:
        text = redacted(each, switches=switches, depth=depth + 1)
        if not inside or inside[-1] != text:
            inside.append(text)
    return "[" + ", ".join(inside) + "]"
