"""Says of a class which of its parts the engine sees to, and why others are MongoEngine's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mongoengine.base import BaseField
from mongoengine.base.common import _document_registry

from datalayer.documents.engine.compiling import reason_against
from datalayer.documents.engine.field_plan import Load, attribute_of, plan_for
from datalayer.documents.engine.mixins import uses_engine
from datalayer.documents.engine.mongoengine_internals import listened_to


@dataclass(frozen=True)
class Explanation:
    """What the engine does for one class.

    ``reason`` says why MongoEngine sees to all of it; ``fields`` why it does to single ones.
    """

    model: str
    reason: str | None
    fields: dict[str, str]


def explain(model: Any) -> Explanation:
    """What the engine does for ``model``; compiles and changes nothing."""
    reason = _reason(model)
    fields: dict[str, str] = {}
    if reason is None:
        for name, field in model._fields.items():
            if plan_for(model, name, field).load is Load.ASSIGNED:
                fields[name] = _why(model, name, field)
    return Explanation(model._class_name, reason, fields)


def explain_all() -> tuple[Explanation, ...]:
    """What the engine does for every class that is registered and not abstract, by name."""
    models = sorted(_document_registry.values(), key=lambda model: str(model._class_name))
    return tuple(explain(model) for model in models if not model._meta.get("abstract"))


def _reason(model: Any) -> str | None:
    if not uses_engine(model):
        return "it has MongoEngine's base class; datalayer.documents.accelerate() changes that"
    if listened_to(model):
        return "somebody listens to pre_init or post_init of it"
    return reason_against(model)


def _why(model: Any, name: str, field: Any) -> str:
    kind: Any = type(field)
    if type(attribute_of(model, name)) is not kind:
        return "another attribute of the class stands in its place"
    for function in ("__set__", "to_python"):
        definer = next(parent for parent in kind.__mro__ if function in vars(parent))
        if definer is not BaseField:
            return f"{definer.__name__} has its own {function}"
    return f"{kind.__name__} is not known"
