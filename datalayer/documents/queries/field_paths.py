"""Where a keyword of a filter or an update leads: MongoEngine's names with ``__`` between them, as
a path in the database and the field whose values lie there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mongoengine.errors import InvalidQueryError, LookUpError
from mongoengine.fields import (
    CachedReferenceField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    ReferenceField,
)

_POSITION = re.compile(r"\d+|S|\$|\$\[\w*\]")


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A path in the database, the field whose values lie there, and how much of the path leads
    to the innermost list on the way (0 where there is none)."""

    parts: tuple[str, ...]
    field: Any
    listed: int
    filtered: tuple[tuple[str, Any], ...] = ()  # the names of array filters, and their members

    @property
    def key(self) -> str:
        """The path as MongoDB writes it."""
        return ".".join(self.parts)


def field_path_of(model: Any, parts: Sequence[str]) -> FieldPath:
    """Where ``parts``, the names in a keyword, lead to from ``model``.

    Raises:
        InvalidQueryError: where a field has no such part.
    """
    try:
        field = model._lookup_field([parts[0]])[0]
    except LookUpError as exc:
        raise InvalidQueryError(str(exc)) from None
    target = FieldPath((field.db_field,), field, int(isinstance(field, ListField)))
    for part in parts[1:]:
        target = _position(target, part) or _inside(target, part)
    return target


def _position(target: FieldPath, part: str) -> FieldPath | None:
    """The path of a list's member; ``None`` where ``part`` means something else."""
    field = target.field
    if not _POSITION.fullmatch(part) or isinstance(field, DictField):
        return None
    if isinstance(field, ListField):
        member = field.field or _anything(part)
        inside = _at(target, "$" if part == "S" else part, member)
        if part.startswith("$[") and part != "$[]":
            return replace(inside, filtered=(*inside.filtered, (part[2:-1], member)))
        return inside
    return _at(target, part, _anything(part)) if part.isdigit() else None


def _inside(target: FieldPath, part: str) -> FieldPath:
    field = target.field
    if isinstance(field, ListField):
        if field.field is None:
            return _at(target, part, _anything(part))
        return _inside(replace(target, field=field.field), part)
    if isinstance(field, DictField):
        return _at(target, part, field.field or _anything(part))
    if isinstance(field, DynamicField):
        return _at(target, part, _anything(part))
    if isinstance(field, (GenericReferenceField, LazyReferenceField, ReferenceField)):
        raise InvalidQueryError(
            f"{target.key!r} refers to another collection: its documents' {part!r} can't be asked "
            "for here; ask for them first, and then by __in"
        )
    return _at(target, *_named(field, part, target))


def _named(field: Any, part: str, target: FieldPath) -> tuple[str, Any]:
    if isinstance(field, CachedReferenceField) and part == "pk":
        part = field.document_type._meta["id_field"]
    found = field.lookup_member(part) if hasattr(field, "lookup_member") else None
    if found is None and getattr(getattr(field, "document_type", None), "_dynamic", False):
        found = _anything(part)
    if found is None and isinstance(field, EmbeddedDocumentField):
        found = _in_subclasses(field.document_type, part)
    if found is None:
        raise InvalidQueryError(f"{target.key!r} has no field {part!r}")
    return (found, _anything(found)) if isinstance(found, str) else (found.db_field, found)


def _in_subclasses(model: Any, name: str) -> Any:
    for each in model.__subclasses__():
        found = each._fields.get(name) or _in_subclasses(each, name)
        if found is not None:
            return found
    return None


def _at(target: FieldPath, key: str, field: Any) -> FieldPath:
    path = (*target.parts, key)
    return replace(
        target,
        parts=path,
        field=field,
        listed=len(path) if isinstance(field, ListField) else target.listed,
    )


def _anything(name: str) -> Any:
    return DynamicField(db_field=None if name.startswith("$") else name)
