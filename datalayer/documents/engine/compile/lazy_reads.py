"""What becomes of a loaded value when it is first read, and whether it may wait until then."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from mongoengine import EmbeddedDocument
from mongoengine.base import BaseList, EmbeddedDocumentList, get_document
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import EmbeddedDocumentField, EmbeddedDocumentListField, ListField

from datalayer.documents.engine.compile.c_core import plain_copy
from datalayer.documents.engine.field_plan import Load, Plan, is_plain_list, scalar_types
from datalayer.documents.engine.mongoengine_internals import slots
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.containers import TrackedEmbeddedDocumentList, TrackedList
from datalayer.documents.engine.values.lazy_data import Converter, Converters

_MOST_SHAPES = 64  # more different sets of keys than that are looked at each time


def default_of(field: Any) -> Any:
    """The value of a field that is not given, or given as ``None``."""
    default = field.default
    if default is None or field.null:
        return None
    value = default() if callable(default) else default
    return field.to_python(value) if getattr(field, "converts_on_first_read", False) else value


def converters_for(program: Program) -> Converters:
    """What makes the value of a raw one, for each field that may wait."""
    converters = {
        plan.name: _converter(program, plan)
        for plan in program.plans
        if plan.load is Load.DEFERRED
    }
    return Converters(program.model._class_name, converters)


def waiting_tests(program: Program) -> dict[str, Callable[[Any], bool]]:
    """Functions that tell of a raw value whether it may wait, by the field's name."""
    return {
        plan.name: _may_wait(program, plan) for plan in program.plans if plan.load is Load.DEFERRED
    }


def _converter(program: Program, plan: Plan) -> Converter:
    field = plan.field
    if type(field) is EmbeddedDocumentField:
        return _part_converter(field, program.dereferences)
    if isinstance(field, ListField):
        return _ListConverter(field, plan.name, program)
    to_python = field.to_python
    is_untyped = isinstance(field, ComplexBaseField) and field.field is None

    def convert(document: Any, raw: Any) -> Any:
        if is_untyped and (copied := plain_copy(raw)) is not None:
            return copied
        value = to_python(raw)
        if isinstance(value, EmbeddedDocument) and document is not None:
            value._instance = weakref.proxy(document)
        return value

    return convert


def _part_converter(field: Any, dereferences: bool) -> Converter:
    def convert(document: Any, raw: Any) -> Any:
        part = field.document_type._from_son(raw, _auto_dereference=dereferences)
        if document is not None:
            slots.instance(part, weakref.proxy(document))
        return part

    return convert


class _ListConverter:
    """Makes the list at once that MongoEngine makes on its second look, where the first one
    would find nothing to dereference."""

    def __init__(self, field: Any, name: str, program: Program) -> None:
        self.field = field
        self.name = name
        self.dereferences = program.dereferences
        self.types = set() if field.field is None else set(scalar_types(field.field))
        is_of_parts = isinstance(field, EmbeddedDocumentListField)
        self.tracked: Any = EmbeddedDocumentList if is_of_parts else BaseList
        if program.tracks_changes:
            self.tracked = TrackedEmbeddedDocumentList if is_of_parts else TrackedList
        self.is_plain: bool | None = None  # known when all classes are

    def __call__(self, document: Any, raw: list[Any]) -> Any:
        if self.is_plain is None:
            self.is_plain = is_plain_list(self.field)
        items: list[Any] | None = None
        if self.is_plain and document is not None:
            if not self.types:
                items = self._parts(document, raw)
            elif self.types.issuperset(map(type, raw)):
                items = raw
        if items is None:
            return self._as_mongoengine(document, raw)
        values = self.tracked(items, document, self.name)
        values._dereferenced = self.dereferences
        return values

    def _as_mongoengine(self, document: Any, raw: list[Any]) -> Any:
        if self.field.field is None and (copied := plain_copy(raw)) is not None:
            return copied
        items = self.field.to_python(raw)
        if document is not None:
            for item in items:
                if isinstance(item, EmbeddedDocument):
                    item._instance = weakref.proxy(document)
        return items

    def _parts(self, document: Any, raw: list[Any]) -> list[Any] | None:
        model = self.field.field.document_type
        if not all(type(item) in (dict, model) for item in raw):
            return None
        from_son = model._from_son
        owner = weakref.proxy(document)
        parts = []
        for item in raw:
            # Of a document that was loaded from bytes, they are documents already.
            part = (
                item
                if type(item) is model
                else from_son(item, _auto_dereference=self.dereferences)
            )
            slots.instance(part, owner)
            parts.append(part)
        return parts


def _may_wait(program: Program, plan: Plan) -> Callable[[Any], bool]:
    if type(plan.field) is EmbeddedDocumentField:
        return _part_may_wait(program, plan.field)
    expected = plan.deferred
    if expected is object:
        return lambda raw: True
    return lambda raw: type(raw) is expected


def _part_may_wait(program: Program, field: Any) -> Callable[[Any], bool]:
    """An embedded document with a key that its class doesn't know may not: MongoEngine refuses it
    when the document is loaded."""
    known: set[tuple[str, ...]] = set()
    program_of = program.of

    def may_wait(raw: Any) -> bool:
        if type(raw) is not dict:
            return False
        keys = tuple(raw)
        if keys in known:
            return True
        named = raw.get("_cls")
        if named is not None and not isinstance(named, str):
            return False
        part = program_of(field.document_type if named is None else get_document(named))
        if part.reason is None and part.is_strict and not part.keys >= {*keys} - {"_cls"}:
            return False
        if named is None and len(known) < _MOST_SHAPES:
            known.add(keys)
        return True

    return may_wait
