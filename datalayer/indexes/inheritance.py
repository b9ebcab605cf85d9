"""Unique indexes on a field that only some of a collection's classes have: documents of the other
classes count as having none, and of those a unique index takes one. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from pymongo import IndexModel

from datalayer.indexes.advice import shown
from datalayer.indexes.declared import CollectionPlan, Model


def obstructed_siblings(alias: str, plan: CollectionPlan) -> Iterator[str]:
    """A warning for each unique index that lets in one document only of some class."""
    for index in plan.indexes:
        if advice := sibling_advice(plan, index):
            yield f"the unique index {shown(index)} of {plan.name!r} on {alias!r}: {advice}"


def sibling_advice(plan: CollectionPlan, index: IndexModel) -> str | None:
    """What to do about classes that lack a field of a unique index; ``None`` where none does."""
    options = index.document
    if not options.get("unique") or options.get("sparse") or "partialFilterExpression" in options:
        return None
    for key in options["key"]:
        name = key.partition(".")[0]
        without = [model.__name__ for model in plan.models if not _may_have(model, name)]
        if without and len(without) < len(plan.models):
            return (
                f"documents of {', '.join(without)} in this collection have no {name!r}, and all "
                "of them count as duplicates of each other; make the field unique with "
                'sparse=True, or declare the index with a "partialFilterExpression" on "_cls"'
            )
    return None


def _may_have(model: Model, name: str) -> bool:
    stored = {field.db_field for field in model._fields.values()}
    return name in stored or name in ("_cls", "$**") or bool(getattr(model, "_dynamic", False))
