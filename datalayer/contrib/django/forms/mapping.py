"""Which form field stands for which field of a document."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.text import capfirst
from mongoengine import fields as me
from mongoengine.base import BaseField
from mongoengine.base.fields import ComplexBaseField, GeoJsonBaseField

from datalayer.contrib.django.forms.choices import (
    DocumentChoiceField,
    DocumentMultipleChoiceField,
)
from datalayer.contrib.django.forms.fields import (
    EnumField,
    JSONObjectField,
    LinesField,
    MomentField,
    ObjectIdField,
    PointField,
    SecretField,
)
from datalayer.documents.fields import RawDictField

Found = tuple[Any, dict[str, Any]] | None
"""A class of form fields with its arguments, or ``None`` where forms make no sense of a field."""

_MOST_DIGITS_OF_DECIMAL128 = 34
_REFERENCES = (me.ReferenceField, me.CachedReferenceField, me.LazyReferenceField)
_KEPT_BY_THE_CLASS = ("created_at", "updated_at", "_cls")


def is_for_forms(document: Any, name: str) -> bool:
    """Whether a form of all fields has this one: not one that the class or the database fills,
    a secret, or one with ``editable=False``."""
    field = document._fields[name]
    is_filled = name in _KEPT_BY_THE_CLASS or isinstance(field, me.SequenceField)
    is_own_key = name == document._meta.get("id_field") and isinstance(field, me.ObjectIdField)
    is_version = field.db_field == getattr(document, "_version_key", None)
    editable = getattr(field, "editable", True)
    return editable and not (
        is_filled or is_own_key or is_version or getattr(field, "secret", False)
    )


def form_field(field: BaseField, overrides: Mapping[str, Any], form_class: Any = None) -> Any:
    """The form field for ``field``, with the options in ``overrides`` before those that it gives
    itself; ``None`` where forms make no sense of it, or where it is for a nested form."""
    found = _found(field)
    if found is None and form_class is None:
        return None
    kind, options = found or (forms.CharField, {})
    if form_class is not None and not issubclass(form_class, kind):
        options = {}  # which another kind of field would not take
    return (form_class or kind)(**{**_common(field), **options, **overrides})


def _common(field: BaseField) -> dict[str, Any]:
    label = getattr(field, "verbose_name", None) or str(field.name).replace("_", " ")
    found = {
        "required": bool(field.required or field.primary_key),
        "label": capfirst(label),
        "help_text": getattr(field, "help_text", None) or "",
    }
    if callable(field.default) and not isinstance(field, ComplexBaseField):
        # What is a new value with each form counts as changed only where a visitor changed it.
        found["initial"], found["show_hidden_initial"] = field.default, True
    return found


def _found(field: BaseField) -> Found:
    if getattr(field, "secret", False):
        return SecretField, _lengths(field)
    if field.choices and not isinstance(field, (me.ListField, me.EnumField)):
        return forms.TypedChoiceField, _choices(field, is_blank=_is_blank(field))
    for kind, build in _KINDS.items():
        if isinstance(field, kind):
            return build(field)
    return None


def _is_blank(field: BaseField) -> bool:
    return not field.required or field.default is None


def _choices(field: Any, *, is_blank: bool) -> dict[str, Any]:
    pairs = [each if isinstance(each, (list, tuple)) else (each, each) for each in field.choices]
    by_text = {str(value): value for value, _ in pairs}
    blank = [("", "---------")] if is_blank else []
    return {
        "choices": blank + [(str(value), label) for value, label in pairs],
        "coerce": lambda value: by_text.get(str(value), value),
        "empty_value": None,
    }


def _lengths(field: Any) -> dict[str, Any]:
    return {"max_length": field.max_length, "min_length": field.min_length}


def _text(field: Any) -> Found:
    options = {**_lengths(field), "empty_value": "" if field.default == "" else None}
    if field.max_length is None:
        options["widget"] = forms.Textarea
    return forms.CharField, options


def _line(kind: Any, **more: Any) -> Callable[[Any], Found]:
    return lambda field: (kind, {**_lengths(field), "empty_value": None, **more})


def _plain(kind: Any, **more: Any) -> Callable[[Any], Found]:
    return lambda field: (kind, more)


def _number(kind: Any) -> Callable[[Any], Found]:
    return lambda field: (kind, {"min_value": field.min_value, "max_value": field.max_value})


def _decimal(field: Any) -> Found:
    limits = {
        name: None if limit is None else Decimal(str(limit))
        for name, limit in (("min_value", field.min_value), ("max_value", field.max_value))
    }
    if isinstance(field, me.Decimal128Field):
        return forms.DecimalField, {**limits, "max_digits": _MOST_DIGITS_OF_DECIMAL128}
    options = {"max_digits": decimal.DefaultContext.prec, "decimal_places": field.precision}
    return forms.DecimalField, {**limits, **options}


def _boolean(field: Any) -> Found:
    return forms.BooleanField, {"required": False}  # "required" would be: it must be ticked


def _enum(field: Any) -> Found:
    members = field.choices or list(field._enum_cls)
    pairs = [(str(each.value), str(each.name).replace("_", " ").capitalize()) for each in members]
    by_text = {str(each.value): each for each in members}
    blank = [("", "---------")] if _is_blank(field) else []
    return EnumField, {
        "choices": blank + pairs,
        "coerce": lambda value: by_text.get(str(value), value),
        "empty_value": None,
    }


def _reference(field: Any) -> Found:
    return DocumentChoiceField, {"queryset": lambda: field.document_type.objects}


def _list(field: Any) -> Found:
    inner = field.field
    if inner is None or isinstance(inner, ComplexBaseField):
        return JSONObjectField, {"kind": list}
    inner.name = inner.name or field.name
    if inner.choices:
        return forms.TypedMultipleChoiceField, {
            **_choices(inner, is_blank=False),
            "empty_value": [],
        }
    if isinstance(inner, _REFERENCES):
        return DocumentMultipleChoiceField, {"queryset": lambda: inner.document_type.objects}
    if isinstance(inner, me.DictField | GeoJsonBaseField):
        return JSONObjectField, {"kind": list}
    item = form_field(inner, {"required": True, "initial": None, "show_hidden_initial": False})
    if item is None or isinstance(item, (PointField, forms.FileField)):
        return None
    return LinesField, {"item": item}


# The first that fits: what is derived stands before what it is derived from.
_KINDS: Mapping[Any, Callable[[Any], Found]] = {
    me.EmailField: _line(forms.EmailField),
    me.URLField: _line(forms.URLField, assume_scheme="https"),
    me.ComplexDateTimeField: _plain(MomentField),
    me.StringField: _text,
    me.BooleanField: _boolean,
    me.IntField: _number(forms.IntegerField),
    me.LongField: _number(forms.IntegerField),
    me.FloatField: _number(forms.FloatField),
    me.DecimalField: _decimal,
    me.Decimal128Field: _decimal,
    me.DateField: _plain(forms.DateField),
    me.DateTimeField: _plain(MomentField),
    me.UUIDField: _plain(forms.UUIDField),
    me.ObjectIdField: _plain(ObjectIdField),
    me.EnumField: _enum,
    _REFERENCES: _reference,
    (me.GeoPointField, me.PointField): _plain(PointField),
    (me.DictField, GeoJsonBaseField, RawDictField): _plain(JSONObjectField),
    me.ImageField: _plain(forms.ImageField),
    me.FileField: _plain(forms.FileField),
    me.ListField: _list,
}
