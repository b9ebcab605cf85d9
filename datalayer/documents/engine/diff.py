"""What changed in a document since it was loaded or saved: only what was touched is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Number
from typing import Any

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

from datalayer.documents.engine.field_plan import Plan, scalar_types
from datalayer.documents.engine.mongoengine_internals import slots
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.locations import reshaped_at

_REFERENCES = (
    LazyReferenceField,
    ReferenceField,
    GenericLazyReferenceField,
    GenericReferenceField,
)
_ABSENT: Any = object()


def changed_fields(document: Any, program: Program) -> list[str]:
    """The keys and paths of what was changed, as ``_get_changed_fields`` gives them."""
    if program.tracks_changes:
        return _tracked_changes(document, program)
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


def _tracked_changes(document: Any, program: Program) -> list[str]:
    """The paths of what changed in one of datalayer's own documents, whose lists and mappings have
    told of theirs: only what embedded documents noted is looked for."""
    changed = list(getattr(document, "_changed_fields", ()))
    for key, field, value in _containers_of(document, program):
        if value is None or key in changed or isinstance(field, ReferenceField):
            continue
        inner = getattr(field, "field", None)
        if isinstance(inner, _REFERENCES) or (inner is not None and scalar_types(inner)):
            continue
        for parts in list(_noted_within(program, value, (key,), changed)):
            depth = reshaped_at(field, parts[1:])
            path = ".".join(parts if depth is None else parts[: depth + 1])
            if path not in changed:
                changed.append(path)
    return changed


def clear_changes(document: Any, program: Program) -> None:
    """Forget what ``document`` and the embedded documents in it noted, at any depth."""
    slots.changed_fields(document, [])
    for _, _, value in _containers_of(document, program):
        _clear_within(program, value)


def _clear_within(program: Program, value: Any) -> None:
    if isinstance(value, EmbeddedDocument):
        clear_changes(value, program.of(type(value)))
    elif isinstance(value, (list, tuple, dict)):
        for _, item in _items(value):
            if isinstance(item, _HOLDERS):
                _clear_within(program, item)


def _containers_of(document: Any, program: Program) -> Iterator[tuple[str, Any, Any]]:
    data = document._data
    if program.reason is None:
        for plan in program.containers:
            # Past LazyData's own methods: what waits was not changed.
            yield plan.key, plan.field, dict.get(data, plan.name)
        return
    for name in document._fields_ordered:
        field = document._fields.get(name)
        yield document._db_field_map.get(name, name), field, data.get(name)


def _noted_within(
    program: Program, value: Any, path: tuple[str, ...], changed: list[str]
) -> Iterator[tuple[str, ...]]:
    if isinstance(value, EmbeddedDocument):
        for noted in _noted_in(program, value):
            yield (*path, *noted.split("."))
    elif isinstance(value, (list, tuple, dict)):
        for key, item in _items(value):
            inner = (*path, str(key))
            if isinstance(item, _HOLDERS) and ".".join(inner) not in changed:
                yield from _noted_within(program, item, inner, changed)


_HOLDERS = (EmbeddedDocument, list, tuple, dict)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    # Past the methods that make each item one that tells of its changes.
    if isinstance(value, dict):
        yield from dict.items(value)
    else:
        yield from enumerate(list.__iter__(value) if isinstance(value, list) else value)


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
    written: Any = {} if program.reason is None else document.to_mongo()
    for path in document._get_changed_fields():
        key, dot, _ = path.partition(".")
        if program.reason is None and key not in written:
            written[key] = _written(document, program, key)
        if dot:
            changed.update([_found(written, path.split("."))])
        else:
            changed[path] = written.get(key, _ABSENT)
    unset: dict[str, Any] = {}
    for path, value in list(changed.items()):
        if value and value is not _ABSENT:
            continue
        if _is_unset(document, program, path, value):
            del changed[path]
            unset[path] = 1
        elif value is _ABSENT:
            changed[path] = None
    return changed, unset


def _is_unset(document: Any, program: Program, path: str, value: Any) -> bool:
    if value is _ABSENT:
        if program.tracks_changes:
            return True
        value = None
    if value or isinstance(value, Number):
        return False
    default = _default_at(document, path)
    if default is _NONE_BY_ITSELF:
        if program.tracks_changes:
            return False  # a key that is there and has no value is not one that isn't there
        default = None
    return bool(value == default)


def _written(document: Any, program: Program, key: str) -> Any:
    model = program.model
    plan = program.by_name.get(model._reverse_db_field_map.get(key, key))
    if plan is None:
        return _ABSENT
    value = document._data.get(plan.name)
    if value is None:
        return None if plan.field.null else _ABSENT
    return program.write_value(plan, value)


def _found(written: Any, parts: list[str]) -> tuple[str, Any]:
    """The value under a path; the path ends at a reference, whose document isn't this one's."""
    value, path = written, []
    for part in parts:
        if isinstance(value, (ObjectId, DBRef)):
            break
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part, _ABSENT)
        path.append(part)
    return ".".join(path), value


def _default_at(document: Any, path: str) -> Any:
    if path in document._fields:
        default = document._fields[path].default
    else:
        default = _default_within(document, path.split("."))
    return default() if callable(default) else default


_NONE_BY_ITSELF: Any = object()
"""What stands for the default of a key in a mapping, an item of a list, a dynamic field."""


def _default_within(owner: Any, parts: list[str]) -> Any:
    for part in parts[:-1]:
        if isinstance(owner, list) and part.isdigit():
            owner = owner[int(part)]
        elif isinstance(owner, dict):
            owner = owner.get(part)
        else:
            owner = getattr(owner, owner._reverse_db_field_map.get(part, part))
    if not hasattr(owner, "_fields"):
        return _NONE_BY_ITSELF
    name = owner._reverse_db_field_map.get(parts[-1], parts[-1])
    field = owner._fields.get(name)
    return _NONE_BY_ITSELF if field is None else field.default
