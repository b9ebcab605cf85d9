"""What changed in a document since it was loaded or saved: only what was touched is looked at."""

from __future__ import annotations

from numbers import Number
from typing import TYPE_CHECKING, Any

from bson import DBRef, ObjectId
from mongoengine import EmbeddedDocument
from mongoengine.base import BaseDocument
from mongoengine.fields import (
    EmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    LazyReferenceField,
    ReferenceField,
    SortedListField,
)

from datalayer.documents.engine.plans import Plan, scalar_types

if TYPE_CHECKING:
    from datalayer.documents.engine.programs import Program

__all__ = ["changed_fields", "written_changes"]

_REFERENCES = (
    LazyReferenceField,
    ReferenceField,
    GenericLazyReferenceField,
    GenericReferenceField,
)


def changed_fields(document: Any, program: Program) -> list[str]:
    """The keys and paths of what was changed, as ``_get_changed_fields`` gives them."""
    changed = list(getattr(document, "_changed_fields", ()))
    data = document._data
    for plan in program.containers:
        # Past LazyData's own methods: what waits was not changed.
        value = dict.get(data, plan.name)
        if value is not None and plan.key not in changed:
            _add_changes_within(program, plan, value, changed)
    return changed


def _noted_in(program: Program, part: Any) -> list[str]:
    """What changed in an embedded document; one of single values has noted all itself."""
    noted: list[str]
    noted = part._changed_fields if program.of(type(part)).is_flat else part._get_changed_fields()
    return noted


def _add_changes_within(program: Program, plan: Plan, value: Any, changed: list[str]) -> None:
    field = plan.field
    if isinstance(field, ReferenceField):
        return
    if isinstance(value, EmbeddedDocument):
        changed += [f"{plan.key}.{path}" for path in _noted_in(program, value) if path]
    elif isinstance(value, (list, tuple, dict)):
        inner = getattr(field, "field", None)
        if isinstance(inner, _REFERENCES) or (inner is not None and scalar_types(inner)):
            return
        if isinstance(inner, EmbeddedDocumentField) and _are_untouched(program, value):
            return
        if _is_reordered(field, value):
            changed.append(plan.key)
            return
        BaseDocument._nestable_types_changed_fields(changed, f"{plan.key}.", value)


def _are_untouched(program: Program, parts: Any) -> bool:
    if not isinstance(parts, list):
        return False
    return all(
        isinstance(part, EmbeddedDocument) and not _noted_in(program, part)
        for part in list.__iter__(parts)
    )


def _is_reordered(field: Any, value: Any) -> bool:
    if not isinstance(field, SortedListField) or not field._ordering:
        return False
    return any(field._ordering in item._changed_fields for item in value)


def written_changes(document: Any, program: Program) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to set and what to unset, by path: only the fields that changed are written.

    A value that is empty and isn't its field's default is set; one that is, is unset.
    """
    changed: dict[str, Any] = {}
    written: dict[str, Any] = {}
    for path in document._get_changed_fields():
        key = path.partition(".")[0]
        if key not in written:
            written[key] = _written(document, program, key)
        changed.update([_found(written, path.split("."))])
    unset: dict[str, Any] = {}
    for path, value in list(changed.items()):
        is_empty = not value and not isinstance(value, Number)
        if is_empty and value == _default_at(document, path):
            del changed[path]
            unset[path] = 1
    return changed, unset


def _written(document: Any, program: Program, key: str) -> Any:
    model = program.model
    plan = program.by_name.get(model._reverse_db_field_map.get(key, key))
    if plan is None:
        return None
    value = document._data.get(plan.name)
    return None if value is None else program.write_value(plan, value)


def _found(written: Any, parts: list[str]) -> tuple[str, Any]:
    """The value under a path; the path ends at a reference, whose document isn't this one's."""
    value, path = written, []
    for part in parts:
        if isinstance(value, (ObjectId, DBRef)):
            break
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)]
        elif hasattr(value, "get"):
            value = value.get(part)
        path.append(part)
    return ".".join(path), value


def _default_at(document: Any, path: str) -> Any:
    if path in document._fields:
        default = document._fields[path].default
    else:
        default = _default_within(document, path.split("."))
    return default() if callable(default) else default


def _default_within(owner: Any, parts: list[str]) -> Any:
    for part in parts[:-1]:
        if isinstance(owner, list) and part.isdigit():
            owner = owner[int(part)]
        elif isinstance(owner, dict):
            owner = owner.get(part)
        else:
            owner = getattr(owner, owner._reverse_db_field_map.get(part, part))
    if not hasattr(owner, "_fields"):
        return None
    name = owner._reverse_db_field_map.get(parts[-1], parts[-1])
    field = owner._fields.get(name)
    return None if field is None else field.default
