"""Takes values from request data for named fields only, and never an operator for a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any, Self

import bson
from mongoengine import EmbeddedDocument
from mongoengine.base import BaseField
from mongoengine.base.fields import ComplexBaseField, GeoJsonBaseField
from mongoengine.errors import FieldDoesNotExist, ValidationError
from mongoengine.fields import (
    ComplexDateTimeField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    FileField,
    GeoPointField,
    SortedListField,
)

from datalayer.documents.fields import RawDictField
from datalayer.documents.fields.bson_limits import ENCODING, check_document
from datalayer.documents.fields.conversion import raw
from datalayer.documents.fields.refusals import UNFIT, expectation
from datalayer.documents.fields.scalar_conversion import is_as_stored

_HOLD_SEVERAL = (DynamicField, GeoJsonBaseField, GeoPointField, RawDictField)
_LARGEST_EXPONENT = 6144  # of Decimal128
_Names = dict[str, list[str] | None]


class FromInput:
    """The part of documents, and of embedded ones, that takes data from outside."""

    @classmethod
    def from_input(cls, data: Mapping[str, Any], *, allow: Iterable[str]) -> Self:
        """A new instance with the values of ``data`` for the fields named in ``allow``.

        For request data: other keys are left out, so that nobody sets a field that you didn't
        think of. A mapping or a list for a field that takes a single value is refused, so that
        an operator (``{"$ne": None}``) never stands for a value; so is what the database can't
        store, and a key ``_cls``, which would name a class to load. ``"address.city"`` allows
        one field of an embedded document. A dynamic class takes single values for names that
        it doesn't declare. Nothing is saved or validated beyond that.

        Raises:
            ValidationError: with all fields that don't fit in ``errors``.
            FieldDoesNotExist: for a name in ``allow`` that the model lacks.
        """
        return cls(**_accepted(cls, data, allow))

    def update_from_input(self, data: Mapping[str, Any], *, allow: Iterable[str]) -> None:
        """Set the fields named in ``allow`` to the values of ``data``, as ``from_input`` does.

        All or none of them; nothing is saved. Of an embedded document that is there,
        ``"address.city"`` changes that field and leaves the others; lists and mappings are
        replaced as a whole.

        Raises:
            ValidationError: with all fields that don't fit in ``errors``.
            FieldDoesNotExist: for a name in ``allow`` that the model lacks.
        """
        _assign(self, data, allow)


def _accepted(model: Any, data: Mapping[str, Any], allow: Iterable[str]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ValidationError("the input is not a mapping of field names to values")
    values: dict[str, Any] = {}
    errors: dict[str, ValidationError] = {}
    for name, inner in _nested(allow).items():
        field = _allowed(model, name) or _undeclared(model, name, inner)
        if name in data:
            try:
                values[name] = _value(field, _given(field, data, name), inner)
            except ValidationError as exc:
                errors[name] = exc
    if errors:
        raise ValidationError(f"the input does not fit {model.__name__}", errors=errors)
    return values


def _allowed(model: Any, name: str) -> BaseField | None:
    field: BaseField | None = model._fields.get(name)
    if field is not None and field.db_field == getattr(model, "_version_key", None):
        raise FieldDoesNotExist(
            f"{model.__name__}.{name} says what was loaded, and is no field to allow; assign the "
            "version that a form was made from: document.version = int(...)"
        )
    return field


def _undeclared(model: Any, name: str, inner: list[str] | None) -> BaseField:
    """What stands for a field that a dynamic class doesn't name: it takes single values."""
    if not model._dynamic or inner is not None or name.startswith(("_", "$")) or not name:
        raise FieldDoesNotExist(f"{model.__name__} has no field {name!r} to allow")
    if hasattr(model, name):
        raise FieldDoesNotExist(f"{model.__name__} has {name!r}, which is no field to allow")
    field = BaseField()
    field.name = name
    return field


def _assign(document: Any, data: Mapping[str, Any], allow: Iterable[str]) -> None:
    names = _nested(allow)
    for name, value in _accepted(type(document), data, allow).items():
        inner, present = names[name], document._data.get(name)
        if inner is not None and isinstance(present, EmbeddedDocument):
            _assign(present, data[name], inner)
        else:
            setattr(document, name, value)


def accepted_value(field: BaseField, value: Any) -> Any:
    """``value`` from outside for ``field``, as ``from_input`` takes it.

    Raises:
        ValidationError: for what the database can't store, an operator, or what names a class.
    """
    return _value(field, value, None)


def values_of(data: Mapping[str, Any], name: str) -> list[Any]:
    """All values under ``name``: the multi-dicts of web frameworks hold several of them, and
    give one or the other without a word."""
    getlist = getattr(data, "getlist", None)
    return list(getlist(name)) if callable(getlist) else [data[name]]


def _nested(allow: Iterable[str]) -> _Names:
    """The names, each with those allowed inside it; ``None`` stands for all."""
    if isinstance(allow, str):
        raise TypeError("allow is a list of field names, not one string")
    nested: _Names = {}
    for name in allow:
        outer, _, inner = name.partition(".")
        if not inner:
            nested[outer] = None
        else:
            names = nested.setdefault(outer, [])
            if names is not None:
                names.append(inner)
    return nested


def _given(field: BaseField, data: Mapping[str, Any], name: str) -> Any:
    values = values_of(data, name)
    if len(values) == 1:
        return values[0]
    if isinstance(field, ComplexBaseField):
        return values
    return field.error("takes a single value, and was given several")


def _value(field: BaseField, value: Any, inner: list[str] | None) -> Any:
    if isinstance(field, EmbeddedDocumentField):
        if value is None and inner is None:
            return None
        embedded = field.document_type
        # Never its class: the document would be loaded as another one.
        names = [name for name in embedded._fields if name != "_cls"] if inner is None else inner
        return embedded(**_accepted(embedded, value, names))
    if isinstance(field, ComplexBaseField):
        return _members(field, value, inner)
    if isinstance(field, _HOLD_SEVERAL):
        return _bearable(field, _contents(field, value))
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        field.error("takes a single value")
    return _bearable(field, value)


def _members(field: ComplexBaseField, value: Any, inner: list[str] | None) -> Any:
    """The value of a field that holds a list or a mapping."""
    if isinstance(value, Mapping) and not isinstance(field, DictField):
        field.error("takes a list")
    if isinstance(value, (list, tuple)) and isinstance(field, DictField):
        field.error("takes a mapping")
    if field.field is None:
        return _bearable(field, _contents(field, value))
    if isinstance(value, Mapping):
        _contents(field, dict.fromkeys(value))  # the keys
        return {key: _value(field.field, each, inner) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        value = [_value(field.field, each, inner) for each in value]
        return _bearable(field, value) if isinstance(field, SortedListField) else value
    return _bearable(field, value)


def _bearable(field: BaseField, value: Any) -> Any:
    """``value`` as it is, unless the field fails at it, or makes of it what can't be stored.

    An infinite number is such a value: ``1e999`` is valid JSON for Python, and no whole number.
    What just isn't of the field's type is left to ``validate``, as everywhere.
    """
    if value is None or is_as_stored(field, value):
        return value
    if not _may_be_tried(field, value):
        field.error(expectation(field, value))
    try:
        given = field.to_python(value)
        with suppress(ValidationError):
            bson.encode({"": raw(field, given)}, codec_options=ENCODING)
        if not isinstance(field, ComplexBaseField):  # whose members have been looked at
            for each in (value, given):
                with suppress(ValidationError):
                    field.validate(each)
    except (*UNFIT, RecursionError):
        field.error(expectation(field, value))
    return value


def _may_be_tried(field: BaseField, value: Any) -> bool:
    if isinstance(value, Decimal) and abs(value.adjusted()) > _LARGEST_EXPONENT:
        return False  # int() takes minutes to write out 1e999999
    if isinstance(field, FileField):
        return not isinstance(value, str)  # it would write it to GridFS, and fails
    if isinstance(field, ComplexBaseField):  # a form may give one text
        return isinstance(value, (str, Mapping, Sequence, Set))
    if isinstance(field, ComplexDateTimeField):  # which stores anything, and fails when read
        return isinstance(value, (str, datetime))
    if isinstance(field, (GeoJsonBaseField, GeoPointField)):
        return not _holds_infinite(value)
    return True


def _holds_infinite(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return any(map(_holds_infinite, value))
    return isinstance(value, float) and not isfinite(value)


def _contents(field: BaseField, value: Any) -> Any:
    """``value`` as it is, unless it holds what can't be stored, or what names a class."""
    if isinstance(value, Mapping):
        check_document(value, field.name)
    elif isinstance(value, (list, tuple)):
        check_document({"": value}, field.name)
    if not isinstance(field, RawDictField) and _names_a_class(value):
        field.error("holds a key _cls, for which MongoEngine would load a document of that class")
    return value


def _names_a_class(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_cls" in value or any(map(_names_a_class, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_names_a_class, value))
