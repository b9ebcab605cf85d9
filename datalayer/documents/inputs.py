"""Takes values from request data for named fields only, and never an operator for a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mongoengine.base import BaseField
from mongoengine.base.fields import ComplexBaseField, GeoJsonBaseField
from mongoengine.errors import FieldDoesNotExist, ValidationError
from mongoengine.fields import DynamicField, EmbeddedDocumentField

from datalayer.documents.fields import RawDictField

__all__ = ["accepted"]

_HOLD_MAPPINGS = (ComplexBaseField, DynamicField, GeoJsonBaseField, RawDictField)


def accepted(model: Any, data: Mapping[str, Any], allow: Iterable[str]) -> dict[str, Any]:
    """The values of ``data`` for the fields named in ``allow``; all other keys are left out.

    A dotted name (``"preferences.language"``) allows one field of an embedded document; the
    name of the whole allows all of its fields.

    Raises:
        ValidationError: for a mapping or a list where the field takes a single value, with all
            such fields in ``errors``.
        FieldDoesNotExist: for a name in ``allow`` that the model lacks.
    """
    if not isinstance(data, Mapping):
        raise ValidationError("the input is not a mapping of field names to values")
    values: dict[str, Any] = {}
    errors: dict[str, ValidationError] = {}
    for name, inner in _nested(allow).items():
        field = model._fields.get(name)
        if field is None:
            raise FieldDoesNotExist(f"{model.__name__} has no field {name!r} to allow")
        if name in data:
            try:
                values[name] = _value(field, data[name], inner)
            except ValidationError as exc:
                errors[name] = exc
    if errors:
        raise ValidationError(f"the input does not fit {model.__name__}", errors=errors)
    return values


def _nested(allow: Iterable[str]) -> dict[str, list[str] | None]:
    """The names, each with those allowed inside it; ``None`` stands for all."""
    if isinstance(allow, str):
        raise TypeError("allow is a list of field names, not one string")
    nested: dict[str, list[str] | None] = {}
    for name in allow:
        outer, _, inner = name.partition(".")
        if not inner:
            nested[outer] = None
        else:
            names = nested.setdefault(outer, [])
            if names is not None:
                names.append(inner)
    return nested


def _value(field: BaseField, value: Any, inner: list[str] | None) -> Any:
    if isinstance(field, EmbeddedDocumentField):
        if value is None:
            return None
        embedded = field.document_type
        names = list(embedded._fields) if inner is None else inner
        return embedded(**accepted(embedded, value, names))
    if isinstance(field, ComplexBaseField) and isinstance(field.field, EmbeddedDocumentField):
        if isinstance(value, Mapping):
            return {key: _value(field.field, each, inner) for key, each in value.items()}
        return [_value(field.field, each, inner) for each in value or ()]
    if isinstance(value, (Mapping, list, tuple, set)) and not isinstance(field, _HOLD_MAPPINGS):
        field.error("takes a single value")
    if isinstance(field, ComplexBaseField) and field.field is not None:
        items = value.values() if isinstance(value, Mapping) else value or ()
        for each in items if not isinstance(items, str) else ():
            _value(field.field, each, inner)
    return value
