"""Adds the time stamps to an update that is a pipeline of stages. Pure functions.

They are set after the caller's stages, which so see the document as it is stored, and only where
no stage decides about them. Stages that make another document of it take the stamps along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any


def stamped_pipeline(
    stages: Iterable[Any],
    now: datetime,
    *,
    updated: str | None,
    created: str | None,
    inserted: datetime | None = None,
    carried: Iterable[str] = (),
) -> list[Any]:
    """``stages`` followed by one that sets the time stamps.

    ``updated`` and ``created`` are their names in the database; ``None`` for one that isn't kept.
    ``inserted`` is the ``created`` of a document that has none, for an upsert. ``carried`` are
    further fields that a stage may not lose without deciding about them.
    """
    names = [name for name in (updated, created, *carried) if name is not None]
    given = list(stages)
    found = decided(given)
    last: dict[str, Any] = {}
    if updated is not None and updated not in found:
        last[updated] = now
    if created is not None and inserted is not None and created not in found:
        last[created] = {"$ifNull": [f"${created}", inserted]}
    complete = [_carrying(stage, names) for stage in given]
    return [*complete, {"$set": last}] if last else complete


def decided(stages: Iterable[Any]) -> set[str]:
    """The fields that some of ``stages`` set or remove, rather than leave or take along."""
    return {name for stage in stages for name in _decided(stage)}


def _decided(stage: Any) -> Iterator[str]:
    for name, content in stage.items() if isinstance(stage, Mapping) else ():
        if name in ("$set", "$addFields") and isinstance(content, Mapping):
            yield from map(first_part, content)
        elif name == "$unset":
            yield from map(first_part, [content] if isinstance(content, str) else content)
        elif name == "$project" and isinstance(content, Mapping):
            yield from (
                first_part(key)
                for key, value in content.items()
                if not (value in (1, True) or _is_own(key, value))
            )
        elif name == "$replaceWith":
            yield from _given_by(content)
        elif name == "$replaceRoot" and isinstance(content, Mapping):
            yield from _given_by(content.get("newRoot"))


def _given_by(expression: Any) -> Iterator[str]:
    """The fields of the document that ``expression`` makes, as far as they can be read there."""
    if not isinstance(expression, Mapping):
        return
    for key, content in expression.items():
        if key.startswith("$"):
            for result in _results(key, content):
                yield from _given_by(result)
        elif not _is_own(key, content):
            yield key


def _results(operator: str, argument: Any) -> Iterable[Any]:
    """The expressions that the operator makes its document of."""
    if operator in ("$mergeObjects", "$ifNull", "$cond") and isinstance(argument, (list, tuple)):
        return argument
    if not isinstance(argument, Mapping):
        return ()
    if operator == "$mergeObjects":
        return (argument,)
    if operator == "$cond":
        return argument.get("then"), argument.get("else")
    if operator == "$let":
        return (argument.get("in"),)
    if operator == "$switch":
        branches = (branch.get("then") for branch in argument.get("branches", ()))
        return (*branches, argument.get("default"))
    return ()


def _carrying(stage: Any, names: Sequence[str]) -> Any:
    """``stage``, with the fields taken along that it would lose without deciding about them."""
    if not isinstance(stage, Mapping) or len(stage) != 1:
        return stage
    ((name, content),) = stage.items()
    if name == "$replaceWith":
        return {name: _with_own(content, names)}
    if name == "$replaceRoot" and isinstance(content, Mapping) and "newRoot" in content:
        return {name: {**content, "newRoot": _with_own(content["newRoot"], names)}}
    if name == "$project" and isinstance(content, Mapping) and _is_inclusive(content):
        present = set(map(first_part, content))
        return {name: {**content, **{each: 1 for each in names if each not in present}}}
    return stage


def _with_own(expression: Any, names: Sequence[str]) -> Any:
    own = {name: f"${name}" for name in names}
    merged = {"$mergeObjects": [own, "$$given"]}
    # What is no document stays one, for the server to refuse: merged with nothing, the stamps
    # would be all that is left of the document.
    is_document = {"$eq": [{"$type": "$$given"}, "object"]}
    chosen = {"$cond": [is_document, merged, "$$given"]}
    return {"$let": {"vars": {"given": expression}, "in": chosen}}


def _is_inclusive(projection: Mapping[str, Any]) -> bool:
    return any(content not in (0, False) for content in projection.values())


def _is_own(name: str, content: Any) -> bool:
    """Whether ``content`` is the field ``name`` as it was."""
    return isinstance(content, str) and content in (
        f"${name}",
        f"$$ROOT.{name}",
        f"$$CURRENT.{name}",
    )


def first_part(path: Any) -> str:
    """The field that a dotted path begins with."""
    return str(path).partition(".")[0]
