"""Compiled validation: a value of the expected type within its limits passes at once, and any
other one is MongoEngine's to judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bson import ObjectId
from mongoengine.base import BaseField, BaseList, EmbeddedDocumentList
from mongoengine.errors import ValidationError
from mongoengine.fields import (
    BooleanField,
    DateTimeField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FloatField,
    GenericEmbeddedDocumentField,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
)

from datalayer.documents.engine.data import LazyData
from datalayer.documents.engine.plans import Load, Plan
from datalayer.documents.engine.source import Names, compiled

if TYPE_CHECKING:
    from datalayer.documents.engine.programs import Program

__all__ = ["validator_for"]

Errors = dict[str, Any]
# Given a document, whether to clean its parts, and whether to skip what waits.
Validator = Callable[[Any, bool, bool], Errors]

_LISTS = frozenset({BaseList, EmbeddedDocumentList, list})
# By the function ``validate``: the exact type that it lets pass, and the names of its limits.
_KNOWN: Mapping[Any, tuple[type, str]] = {
    StringField.validate: (str, "length"),
    IntField.validate: (int, "value"),
    FloatField.validate: (float, "value"),
    BooleanField.validate: (bool, ""),
    ObjectIdField.validate: (ObjectId, ""),
    DateTimeField.validate: (datetime, ""),
}


def validator_for(program: Program) -> Validator:
    """The function that gives the errors of a document's fields, by their names."""
    names = Names(LazyData=LazyData, judge=_judge, missing=_missing)
    lines = ["def errors_of(document, clean, skips):", " errors = {}"]
    lines += [" data = document._data", " get = data.get"]
    lines.append(" skips = skips and type(data) is LazyData")
    for plan in program.in_order:
        lines += _lines_for(plan, names)
    lines.append(" return errors")
    validator: Validator = compiled(lines, "errors_of", names, program.model)
    return validator


def _lines_for(plan: Plan, names: Names) -> list[str]:
    field, name = plan.field, repr(plan.name)
    test = _test(field, names)
    is_required = field.required and not getattr(field, "_auto_gen", False)
    if test == "True" and not is_required:
        return []
    lines = [f"v = get({name})"]
    judge = f"judge({names.add(field)}, v, clean, errors)"
    if test is None:
        lines += [f"if v is not None: {judge}"]
    else:
        lines += [f"if {test}: pass", f"elif v is not None: {judge}"]
    if is_required:
        lines.append(
            f"{'else' if test is None else 'elif v is None'}: missing({names.add(field)}, errors)"
        )
    if plan.load is Load.DEFERRED:
        return [f" if not (skips and data.waits({name})):", *(f"  {line}" for line in lines)]
    return [f" {line}" for line in lines]


def _test(field: Any, names: Names) -> str | None:
    """An expression that is true only of a value ``v`` that passes; ``None`` if there is none."""
    kind: Any = type(field)
    if kind._validate is not BaseField._validate or field.choices or field.validation is not None:
        return None
    if kind.validate is BaseField.validate:
        return "v is not None"
    if kind.validate is ListField.validate:
        return _test_of_list(field, names)
    known = _KNOWN.get(kind.validate)
    if known is None or (kind.validate is DateTimeField.validate and not _keeps_datetimes(field)):
        return None
    if getattr(field, "regex", None) is not None:
        return None
    expected, limited = known
    tests = [f"type(v) is {names.add(expected)}"]
    measure = "len(v)" if limited == "length" else "v"
    for bound, sign in (("min", ">="), ("max", "<=")):
        limit = getattr(field, f"{bound}_{limited}", None) if limited else None
        if limit is not None:
            tests.append(f"{measure} {sign} {names.add(limit)}")
    return " and ".join(tests)


def _keeps_datetimes(field: Any) -> bool:
    return type(field).to_mongo is DateTimeField.to_mongo or bool(
        getattr(field, "converts_on_first_read", False)
    )


def _test_of_list(field: Any, names: Names) -> str | None:
    """Lists of single values without limits of their own."""
    if field.max_length is not None or field.field is None:
        return None
    inner = _test(field.field, Names())
    if inner is None or " and " in inner or not inner.startswith("type(v) is "):
        return None
    expected = _KNOWN[type(field.field).validate][0]
    only = names.add(frozenset({expected}).issuperset)
    lists = names.add(_LISTS)
    iterate = names.add(list.__iter__)
    test = f"type(v) in {lists} and {only}(map(type, {iterate}(v)))"
    return f"{test} and v" if field.required else test


def _judge(field: Any, value: Any, clean: bool, errors: Errors) -> None:
    """MongoEngine's judgement of one value."""
    try:
        if isinstance(field, (EmbeddedDocumentField, GenericEmbeddedDocumentField)):
            if _is_exact_part(field, value):
                value.validate(clean=clean)
            else:
                field._validate(value, clean=clean)
        elif not _passes_as_list_of_parts(field, value):
            field._validate(value)
    except ValidationError as error:
        errors[field.name] = error.errors or error
    except (ValueError, AttributeError, AssertionError) as error:
        errors[field.name] = error


def _is_exact_part(field: Any, value: Any) -> bool:
    return (
        type(field) is EmbeddedDocumentField
        and not field.choices
        and field.validation is None
        and type(value) is field.document_type
    )


def _passes_as_list_of_parts(field: Any, value: Any) -> bool:
    """Whether a list of embedded documents is valid; whatever else it is, MongoEngine says."""
    if type(field) not in (ListField, EmbeddedDocumentListField) or type(value) not in _LISTS:
        return False
    if field.choices or field.validation is not None or field.max_length is not None:
        return False
    if (field.required and not value) or type(field.field) is not EmbeddedDocumentField:
        return False
    items = list(list.__iter__(value))
    if not all(_is_exact_part(field.field, item) for item in items):
        return False
    try:
        for item in items:
            item.validate()
    except (ValidationError, ValueError, AssertionError):
        return False
    return True


def _missing(field: Any, errors: Errors) -> None:
    errors[field.name] = ValidationError("Field is required", field_name=field.name)
