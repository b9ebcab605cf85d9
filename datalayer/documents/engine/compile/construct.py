"""Compiled constructing: ``Model(field=value, ...)`` without a call per field."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from functools import partial
from typing import Any

from bson import Decimal128, ObjectId
from mongoengine import EmbeddedDocument
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import (
    EmbeddedDocumentField,
    FileField,
    ListField,
)

from datalayer.documents.engine.compile.c_core import list_copy, plain_copy
from datalayer.documents.engine.compile.codegen import Names, compiled
from datalayer.documents.engine.compile.lazy_reads import default_of
from datalayer.documents.engine.compile.load import finisher_for
from datalayer.documents.engine.field_plan import Load, Plan, scalar_types
from datalayer.documents.engine.mongoengine_internals import EMPTY, slots, stock
from datalayer.documents.engine.program import Program

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
    put = f"data[{plan.name!r}] = "
    is_made, preset = preset_for(plan, program)
    lines = [f" v = get({plan.name!r}, ABSENT)", " if v is ABSENT:"]
    if is_made is Preset.CONSTANT:
        lines.append(f"  {put}{names.add(preset)}")
    elif is_made is Preset.CALLED:
        lines.append(f"  {put}{names.add(preset)}()")
    else:
        lines.append(f"  {names.add(preset)}(document)")
    if plan.load is Load.SCALAR:
        lines.append(f" elif type(v) is {names.add(plan.types[0])}: {put}v")
    taken = f"{names.add(taker_for(plan))}(document, v)"
    return [*lines, " else:", f"  {taken if _is_assigned(plan) else put + taken}"]


class Preset(IntEnum):
    """How the value of a field comes about that is not given."""

    CONSTANT = 0
    CALLED = 1
    ASSIGNED = 2


def preset_for(plan: Plan, program: Program) -> tuple[Preset, Any]:
    """How, and the value; or the function that makes it; or the one that, given the document,
    assigns it."""
    field = plan.field
    if plan.name == "_cls":
        return Preset.CONSTANT, program.model._class_name
    if _is_assigned(plan):
        return Preset.ASSIGNED, _assigner_of_default(plan.name)
    if field.default is None or field.null:
        return Preset.CONSTANT, None
    if getattr(field, "converts_on_first_read", False):
        return Preset.CALLED, partial(default_of, field)
    return (Preset.CALLED if callable(field.default) else Preset.CONSTANT), field.default


def taker_for(plan: Plan) -> Callable[[Any, Any], Any]:
    """What makes the value of one that is given; it may assign it itself."""
    if _is_assigned(plan):
        return _assigner(plan)
    if type(plan.field) is EmbeddedDocumentField:
        return _taker_of_part(plan.field)
    if isinstance(plan.field, ListField):
        return _taker_of_list(plan.field)
    return _taker(plan.field)


def _is_assigned(plan: Plan) -> bool:
    return plan.load is Load.ASSIGNED or not plan.is_set_plainly


def _assigner_of_default(name: str) -> Callable[[Any], Any]:
    def assign(document: Any) -> Any:
        setattr(document, name, getattr(document, name, None))
        return document._data.get(name)

    return assign


def _assigner(plan: Plan) -> Callable[[Any, Any], Any]:
    name, field = plan.name, plan.field
    converts = not isinstance(field, FileField)
    convert = _converter_of(field)

    def assign(document: Any, value: Any) -> Any:
        if converts and value is not None:
            value = convert(value)
        setattr(document, name, value)
        return document._data.get(name)

    return assign


def _converter_of(field: Any) -> Callable[[Any], Any]:
    """What the field says about a value that was given, if anything; else as if it was loaded."""
    convert: Callable[[Any], Any] = getattr(field, "of_given", field.to_python)
    return convert


def _taker(field: Any) -> Callable[[Any, Any], Any]:
    is_untyped = isinstance(field, ComplexBaseField) and field.field is None
    convert = _converter_of(field)

    def take(document: Any, value: Any) -> Any:
        if value is None:
            return default_of(field)
        if is_untyped and (copied := plain_copy(value)) is not None:
            return copied
        value = convert(value)
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
                return list_copy(value)
            if holds_parts and {inner.document_type}.issuperset(map(type, value)):
                owner = weakref.proxy(document)
                for part in value:
                    slots.instance(part, owner)
                return list_copy(value)
        return general(document, value)

    return take
