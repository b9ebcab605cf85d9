"""Compiled constructing: ``Model(field=value, ...)`` without a call per field."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bson import Decimal128, ObjectId
from mongoengine import EmbeddedDocument
from mongoengine.base import BaseField
from mongoengine.fields import (
    DynamicField,
    EmbeddedDocumentField,
    FileField,
    ListField,
    SequenceField,
)

from datalayer.documents.engine.first_reads import default_of
from datalayer.documents.engine.internals import EMPTY, slots, stock
from datalayer.documents.engine.plans import Load, Plan, scalar_types
from datalayer.documents.engine.reading import finisher_for
from datalayer.documents.engine.source import Names, compiled

if TYPE_CHECKING:
    from datalayer.documents.engine.programs import Program

__all__ = ["constructor_for"]

Constructor = Callable[[Any, dict[str, Any]], None]
_ABSENT: Any = object()
_SINGLE = frozenset({bool, bytes, datetime, Decimal128, float, int, ObjectId, str})


def constructor_for(program: Program) -> Constructor:
    """The function that does what ``__init__`` does, given the document and its keywords.

    Like MongoEngine's it converts what is given, and takes defaults for what isn't.
    """
    names = Names(
        ABSENT=_ABSENT,
        allowed=frozenset(plan.name for plan in program.plans) | {"_cls"},
        EMPTY=EMPTY,
        stock_init=stock.embedded_init if program.is_embedded else stock.document_init,
        set_changed=slots.changed_fields,
        set_created=slots.created,
        set_data=slots.data,
        set_dynamic=slots.dynamic_fields,
        set_initialised=slots.initialised,
        set_instance=slots.instance,
    )
    lines = [
        "def construct(document, values):",
        " if not values.keys() <= allowed:",
        "  convert = values.pop('__auto_convert', True)",
        "  created = values.pop('_created', True)",
        "  if not convert or not values.keys() <= allowed:",
        "   return stock_init(document, __auto_convert=convert, _created=created, **values)",
        " else:",
        "  created = True",
        " set_initialised(document, False)",
        " set_created(document, True)",
        " set_dynamic(document, EMPTY)",
        " data = {}",
        " set_data(document, data)",
        " get = values.get",
    ]
    for plan in program.plans:
        lines += _lines_for(plan, program, names)
    if program.shares_class_name:
        lines.append(" if '_cls' in values: document._cls = values['_cls']")
    lines += [" set_initialised(document, True)", " set_created(document, created)"]
    if program.is_embedded:
        lines += [" set_instance(document, None)", " set_changed(document, [])"]
    finish = finisher_for(program)
    if finish is not None:
        lines.append(f" {names.add(finish)}(document)")
    construct: Constructor = compiled(lines, "construct", names, program.model)
    return construct


def _lines_for(plan: Plan, program: Program, names: Names) -> list[str]:
    key = repr(plan.name)
    given = _given(plan, names)
    lines = [f" v = get({key}, ABSENT)", " if v is ABSENT:"]
    if plan.name == "_cls":
        lines.append(f"  data[{key}] = {program.model._class_name!r}")
    elif _is_assigned(plan):
        lines.append(f"  document.{plan.name} = getattr(document, {key}, None)")
    else:
        lines.append(f"  data[{key}] = {_default(plan.field, names)}")
    if plan.load is Load.SCALAR:
        return [
            *lines,
            f" elif type(v) is {names.add(plan.types[0])}: data[{key}] = v",
            " else:",
            *(f"  {line}" for line in given),
        ]
    return [*lines, " else:", *(f"  {line}" for line in given)]


def _default(field: Any, names: Names) -> str:
    if field.default is None or field.null:
        return "None"
    if field.default in (list, dict):
        return "[]" if field.default is list else "{}"
    if callable(field.default):
        return f"{names.add(field.default)}()"
    return str(names.add(field.default))


def _is_assigned(plan: Plan) -> bool:
    field: Any = plan.field
    return plan.load is Load.ASSIGNED or isinstance(field, (DynamicField, SequenceField))


def _given(plan: Plan, names: Names) -> list[str]:
    """What to do with a value that was given."""
    key, field = repr(plan.name), plan.field
    if _is_assigned(plan) or type(field).__set__ is not _plain_set(field):
        convert = f"if v is not None: v = {names.add(field.to_python)}(v)"
        assign = f"document.{plan.name} = v"
        return [assign] if isinstance(field, FileField) else [convert, assign]
    if type(field) is EmbeddedDocumentField:
        return [f"data[{key}] = {names.add(_taker_of_part(field))}(document, v)"]
    if isinstance(field, ListField):
        return [f"data[{key}] = {names.add(_taker_of_list(field))}(document, v)"]
    return [f"data[{key}] = {names.add(_taker(field))}(document, v)"]


def _plain_set(field: Any) -> Any:
    return ListField.__set__ if isinstance(field, ListField) else BaseField.__set__


def _taker(field: Any) -> Callable[[Any, Any], Any]:
    def take(document: Any, value: Any) -> Any:
        if value is None:
            return default_of(field)
        value = field.to_python(value)
        return _owned(document, default_of(field) if value is None else value)

    return take


def _owned(document: Any, value: Any) -> Any:
    if type(value) in _SINGLE:
        return value
    if isinstance(value, EmbeddedDocument):
        slots.instance(value, weakref.proxy(document))
    elif isinstance(value, (list, tuple)):
        for item in value:
            if isinstance(item, EmbeddedDocument):
                slots.instance(item, weakref.proxy(document))
    return value


def _taker_of_part(field: Any) -> Callable[[Any, Any], Any]:
    general = _taker(field)

    def take(document: Any, value: Any) -> Any:
        if type(value) is field.document_type:
            slots.instance(value, weakref.proxy(document))
            return value
        return general(document, value)

    return take


def _taker_of_list(field: Any) -> Callable[[Any, Any], Any]:
    general = _taker(field)
    inner = field.field
    types = set(scalar_types(inner)) if inner is not None else set()
    holds_parts = type(inner) is EmbeddedDocumentField

    def take(document: Any, value: Any) -> Any:
        if type(value) is list:
            if types and types.issuperset(map(type, value)):
                return value.copy()
            if holds_parts and {inner.document_type}.issuperset(map(type, value)):
                owner = weakref.proxy(document)
                for part in value:
                    slots.instance(part, owner)
                return value.copy()
        return general(document, value)

    return take
