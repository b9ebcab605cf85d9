"""Changes of single items of lists: where one isn't there any more, the whole list is written.

MongoDB takes the path ``items.5`` for an order to make the list so long, with ``null`` before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

logger = logging.getLogger("datalayer.documents")

Update = dict[str, dict[str, Any]]
Written = Callable[[str], dict[str, Any]]


def items_of_lists(paths: Iterable[str], written: Written) -> dict[str, str]:
    """The innermost items of lists that a change at ``paths`` sets or changes in, each with the
    path of the outermost list around it. ``written`` gives the mapping of a field's key to its
    value."""
    found = {}
    for path in paths:
        if not any(part.isdigit() for part in path.split(".")):
            continue
        lists = _lists_on(path, written)
        if lists:
            item = path.split(".")[: len(lists[-1].split(".")) + 1]
            found[".".join(item)] = lists[0]
    return found


def with_whole_lists(update: Update, items: dict[str, str], written: Written) -> Update:
    """``update`` with these lists set as a whole, instead of changes in them."""
    lists = set(items.values())
    changed: Update = {}
    for operator, paths in update.items():
        kept = {
            path: value
            for path, value in paths.items()
            if not any(path == each or path.startswith(f"{each}.") for each in lists)
        }
        if kept:
            changed[operator] = kept
    whole = {path: _at(path.split("."), written) for path in lists}
    changed["$set"] = {**changed.get("$set", {}), **whole}
    return changed


def tell_of_whole_lists(model: Any, items: dict[str, str]) -> None:
    """Say in the log that such lists are written as a whole; without keys of mappings."""
    logger.warning(
        "a list in %s of %r is shorter in the database than it was when it was loaded; it is "
        "written as a whole, which undoes what somebody else changed in it",
        " or ".join(sorted({path.partition(".")[0] for path in items.values()})),
        model._get_collection_name(),
        extra={"event": "list_written_whole"},
    )


def _lists_on(path: str, written: Written) -> list[str]:
    parts = path.split(".")
    value: Any = written(parts[0])
    lists = []
    for depth, part in enumerate(parts):
        if isinstance(value, list) and part.isdigit():
            lists.append(".".join(parts[:depth]))
        value = _below(value, part)
    return lists


def _at(parts: list[str], written: Written) -> Any:
    value: Any = written(parts[0])
    for part in parts:
        value = _below(value, part)
    return value


def _below(value: Any, part: str) -> Any:
    if isinstance(value, list) and part.isdigit():
        return value[int(part)] if int(part) < len(value) else None
    return value.get(part) if isinstance(value, dict) else None
