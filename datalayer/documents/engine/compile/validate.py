"""Compiled validation: a value of the expected type within its limits passes at once, and any
other one is MongoEngine's to judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from bson import ObjectId
from mongoengine.base import BaseField, BaseList, EmbeddedDocumentList
from mongoengine.errors import ValidationError
from mongoengine.fields import (
    BooleanField,
    DateTimeField,
    EmbeddedDocumentField,
    FloatField,
    GenericEmbeddedDocumentField,
    IntField,
    ListField,
    ObjectIdField,
    StringField,
)

from datalayer.documents.engine.compile.codegen import Names, compiled
from datalayer.documents.engine.field_plan import Load, Plan
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.containers import TRACKED
from datalayer.documents.engine.values.lazy_data import LazyData

Errors = dict[str, Any]
# Given a document, whether to clean its parts, and whether to skip what waits.
Validator = Callable[[Any, bool, bool], Errors]
# Given a value, whether to clean it, and the errors to add to.
Judge = Callable[[Any, bool, Errors], None]

_LISTS = frozenset({BaseList, EmbeddedDocumentList, list}) | TRACKED
_NEVER = type("_Never", (), {})
# By the function ``validate``: the exact type that it lets pass within the field's limits.
_KNOWN: Mapping[Any, type] = {
    StringField.validate: str,
    IntField.validate: int,
    FloatField.validate: float,
    BooleanField.validate: bool,
    ObjectIdField.validate: ObjectId,
    DateTimeField.validate: datetime,
}


class Passing(IntEnum):
    """Which values of a field are valid at first sight."""

    ALL = 0
    OF_A_TYPE = 1
    NONE = 2


@dataclass(frozen=True, slots=True)
class Check:
    """Which, and of what type and (of texts) length; -1 where there is no limit."""

    passing: Passing
    type: type = _NEVER
    shortest: int = -1
    longest: int = -1

    def test(self, names: Names) -> str:
        """An expression of the value ``v`` that is true for those."""
        if self.passing is not Passing.OF_A_TYPE:
            return "v is not None" if self.passing is Passing.ALL else "False"
        tests = [f"type(v) is {names.add(self.type)}"]
        tests += [f"len(v) >= {self.shortest}"] if self.shortest >= 0 else []
        tests += [f"len(v) <= {self.longest}"] if self.longest >= 0 else []
        return " and ".join(tests)


def validator_for(program: Program) -> Validator:
    """The function that gives the errors of a document's fields, by their names."""
    names = Names(LazyData=LazyData, missing=missing)
    lines = ["def errors_of(document, clean, skips):", " errors = {}"]
    lines += [" data = document._data", " get = data.get"]
    lines.append(" skips = skips and isinstance(data, LazyData)")
    for plan in program.in_order:
        lines += _lines_for(plan, names)
    lines.append(" return errors")
    validator: Validator = compiled(lines, "errors_of", names, program.model)
    return validator


def _lines_for(plan: Plan, names: Names) -> list[str]:
    field, name = plan.field, repr(plan.name)
    lines = [
        f"v = get({name})",
        f"if {check_for(field).test(names)}: pass",
        f"elif v is not None: {names.add(judge_for(field))}(v, clean, errors)",
    ]
    if is_required(field):
        lines.append(f"else: missing({names.add(field)}, errors)")
    if plan.load is Load.DEFERRED:
        return [f" if not (skips and data.waits({name})):", *(f"  {line}" for line in lines)]
    return [f" {line}" for line in lines]


def is_required(field: Any) -> bool:
    """Whether a document needs a value of the field."""
    return bool(field.required and not getattr(field, "_auto_gen", False))


def missing(field: Any, errors: Errors) -> None:
    """Note that a required value is missing."""
    errors[field.name] = ValidationError("Field is required", field_name=field.name)


def check_for(field: Any) -> Check:
    """What can be said of a value of ``field`` without asking it."""
    kind: Any = type(field)
    if not _is_judged_by_validate_alone(field):
        return Check(Passing.NONE)
    if kind.validate is BaseField.validate:
        return Check(Passing.ALL)
    expected = _KNOWN.get(kind.validate)
    if expected is None or (expected is datetime and not _keeps_datetimes(field)):
        return Check(Passing.NONE)
    if expected is str:
        if field.regex is not None:
            return Check(Passing.NONE)
        shortest, longest = field.min_length, field.max_length
        limits = (-1 if limit is None else limit for limit in (shortest, longest))
        return Check(Passing.OF_A_TYPE, str, *limits)
    if any(getattr(field, limit, None) is not None for limit in ("min_value", "max_value")):
        return Check(Passing.NONE)
    return Check(Passing.OF_A_TYPE, expected)


def _is_judged_by_validate_alone(field: Any) -> bool:
    is_own = type(field)._validate is not BaseField._validate
    return not (is_own or field.choices or field.validation is not None)


def _keeps_datetimes(field: Any) -> bool:
    return type(field).to_mongo is DateTimeField.to_mongo or bool(
        getattr(field, "converts_on_first_read", False)
    )


def judge_for(field: Any) -> Judge:
    """What finds out what is wrong with a value of ``field``, if anything is."""
    if isinstance(field, (EmbeddedDocumentField, GenericEmbeddedDocumentField)):
        return _judge_of_part(field)
    quick = _quick_test(field)

    def judge(value: Any, clean: bool, errors: Errors) -> None:
        if not quick(value):
            _noted(field, errors, field._validate, value)

    return judge


def _noted(
    field: Any, errors: Errors, validate: Callable[..., Any], *args: Any, **how: Any
) -> None:
    try:
        validate(*args, **how)
    except ValidationError as error:
        errors[field.name] = error.errors or error
    except (ValueError, AttributeError, AssertionError) as error:
        errors[field.name] = error


def _judge_of_part(field: Any) -> Judge:
    def judge(value: Any, clean: bool, errors: Errors) -> None:
        if _is_exact_part(field, value):
            _noted(field, errors, value.validate, clean=clean)
        else:
            _noted(field, errors, field._validate, value, clean=clean)

    return judge


def _is_exact_part(field: Any, value: Any) -> bool:
    return (
        type(field) is EmbeddedDocumentField
        and not field.choices
        and field.validation is None
        and type(value) is field.document_type
    )


def _quick_test(field: Any) -> Callable[[Any], bool]:
    """A test that passes only what is valid; what it doesn't, MongoEngine looks at."""
    kind: Any = type(field)
    if not _is_judged_by_validate_alone(field):
        return _never
    if kind.validate in (IntField.validate, FloatField.validate):
        return _in_range(_KNOWN[kind.validate], field.min_value, field.max_value)
    if kind.validate is ListField.validate and field.max_length is None:
        if type(field.field) is EmbeddedDocumentField:
            return _list_of_parts(field)
        inner = None if field.field is None else check_for(field.field)
        if inner is not None and inner == Check(Passing.OF_A_TYPE, inner.type):
            return _list_of(inner.type, field)
    return _never


def _never(value: Any) -> bool:
    return False


def _in_range(expected: type, low: Any, high: Any) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        if type(value) is not expected:
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    return test


def _list_of(expected: type, field: Any) -> Callable[[Any], bool]:
    only = frozenset({expected}).issuperset

    def test(value: Any) -> bool:
        if type(value) not in _LISTS or (field.required and not value):
            return False
        return only(map(type, list.__iter__(value)))

    return test


def _list_of_parts(field: Any) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        if type(value) not in _LISTS or (field.required and not value):
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

    return test
