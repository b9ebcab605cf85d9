"""What the engine puts into a compiled class: attributes that read a value without MongoEngine's
way through several calls, and what MongoEngine gives to each document anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bson import DBRef
from mongoengine.base import BaseField, BaseList, EmbeddedDocumentList
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import (
    CachedReferenceField,
    DynamicField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    LazyReferenceField,
    ReferenceField,
)

from datalayer.documents.engine.compile.c_core import core
from datalayer.documents.engine.compile.c_table import in_table_order
from datalayer.documents.engine.field_plan import Load, Plan, attribute_of, scalar_types
from datalayer.documents.engine.mongoengine_internals import display_value
from datalayer.documents.engine.program import Program
from datalayer.documents.engine.values.containers import TRACKED, adopted, received
from datalayer.documents.engine.values.lazy_data import LazyData, lacks
from datalayer.documents.engine.values.sharing import done, first_read, read_first

_INSTALLED = "_engine_attributes"
_WATCHED = TRACKED | {BaseList, EmbeddedDocumentList}
_FETCHING = frozenset(
    {CachedReferenceField.__get__, GenericReferenceField.__get__, ReferenceField.__get__}
)
_LAZY = frozenset({GenericLazyReferenceField.__get__, LazyReferenceField.__get__})
_BUILDING_ANEW = frozenset(
    {GenericLazyReferenceField.build_lazyref, LazyReferenceField.build_lazyref}
)


def _held(document: Any, name: str) -> Any:
    """The value called ``name``, converted or fetched where that is still to be done."""
    data = document._data
    if isinstance(data, LazyData) and data.waits(name):
        return data.load(name, document)
    return data.get(name)


class FieldAttribute:
    """Stands for a field in a class some of whose values are converted on first read.

    The class's attribute is still the field; only a document's values are found faster.
    """

    __slots__ = ("engine_field", "name", "set_value")

    def __init__(self, field: Any, name: str) -> None:
        self.engine_field = field
        self.name = name
        self.set_value: Callable[[Any, Any], None] = field.__set__

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        try:
            return document._data[self.name]
        except KeyError:
            is_lacking = lacks(document, self.name)
            return document._data.load(self.name, document) if is_lacking else None

    def __set__(self, document: Any, value: Any) -> None:
        self.set_value(document, value)


class DeferredAttribute(FieldAttribute):
    """Stands for a field whose values are single ones and may wait."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        return self.engine_field if document is None else _held(document, self.name)


class ComplexAttribute(FieldAttribute):
    """Stands for a field of lists or mappings, which MongoEngine wraps and dereferences.

    A list of lazy references it makes anew on every access: what is added to a list that somebody
    holds would be lost.
    """

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = _held(document, self.name)
        if value is None or self.is_complete(value):
            return value
        return self.completed(document, owner)

    def completed(self, document: Any, owner: Any) -> Any:
        """The value as MongoEngine makes it, the same for all threads."""
        with first_read(document):
            value = _held(document, self.name)
            if value is not None and not self.is_complete(value):  # or another thread was here
                value = self.engine_field.__get__(document, owner)
            done(document)
            return value

    def is_complete(self, value: Any) -> bool:
        """Whether MongoEngine would give ``value`` as it is."""
        if type(value) not in _WATCHED or not value._dereferenced:
            return False
        build = getattr(self.engine_field.field, "build_lazyref", None)
        if build is None:
            return True
        items = dict.values(value) if isinstance(value, dict) else list.__iter__(value)
        return all(build(item) is item for item in items)


class TrackedAttribute(ComplexAttribute):
    """Stands for a field of datalayer's own documents whose values may hold others: lists and
    mappings in them tell of every change."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = _held(document, self.name)
        if type(value) in TRACKED and self.is_complete(value):
            return value
        if not isinstance(value, (list, tuple, dict)):
            return value
        if isinstance(self.engine_field, ComplexBaseField):
            value = self.completed(document, owner)
        return adopted(document, self.name, value) if isinstance(value, (list, dict)) else value

    def is_complete(self, value: Any) -> bool:
        """Whether MongoEngine would give ``value`` as it is."""
        is_complex = isinstance(self.engine_field, ComplexBaseField)
        return super().is_complete(value) if is_complex else True

    def __set__(self, document: Any, value: Any) -> None:
        if value is not None:
            value = received(document, self.name, value)
        self.set_value(document, value)


class ReferenceAttribute(FieldAttribute):
    """Stands for a field of references, whose documents are fetched when they are first read."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = _held(document, self.name)
        if not isinstance(value, (DBRef, dict)):
            return value
        if not document._fields[self.name]._auto_dereference:
            return value
        return read_first(self.engine_field, document, owner)


class LazyAttribute(FieldAttribute):
    """Stands for a field of lazy references of a kind that all threads share."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = _held(document, self.name)
        if value is None or self.engine_field.build_lazyref(value) is value:
            return value
        return read_first(self.engine_field, document, owner)


class FetchingAttribute:
    """Stands before a class's attribute that doesn't know of documents loaded in part."""

    __slots__ = ("attribute", "engine_field", "name")

    def __init__(self, attribute: Any, field: Any, name: str) -> None:
        self.attribute = attribute
        self.engine_field = field
        self.name = name

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        if lacks(document, self.name):
            document._data.load(self.name, document)
        return self.attribute.__get__(document, owner)

    def __set__(self, document: Any, value: Any) -> None:
        self.attribute.__set__(document, value)


_IN_C = (FieldAttribute, DeferredAttribute, ComplexAttribute)


def install(program: Program) -> None:
    """Put the attributes of ``program`` into its class."""
    model: Any = program.model
    attributes: dict[str, Any] = {}
    values_wait = core is not None or any(plan.load is Load.DEFERRED for plan in program.plans)
    for plan in program.plans:
        if type(attribute_of(model, plan.name)) is not type(plan.field):
            continue  # the class has something of its own there
        kind = _attribute_class(plan.field, plan.load)
        if kind in _IN_C and not values_wait:
            kind = None
        tracks = program.tracks_changes and _may_hold_others(plan.field)
        if kind is not None or tracks:
            attributes[plan.name] = _made(kind, plan, program, tracks)
    if program.shares_class_name:
        attributes["_cls"] = model._class_name
    for plan in program.plans:
        name = f"get_{plan.name}_display"
        if plan.field.choices and not hasattr(model, name):
            attributes[name] = _display(plan.field)
    _put(model, attributes)


def install_fetching(model: Any) -> None:
    """Let all attributes of ``model`` fetch what a document was loaded without."""
    for name, field in model._fields.items():
        attribute = next((c.__dict__[name] for c in model.__mro__ if name in c.__dict__), None)
        knows = isinstance(attribute, (FieldAttribute, FetchingAttribute))
        if not knows and type(attribute) is not getattr(core, "Attribute", None):
            type.__setattr__(model, name, FetchingAttribute(attribute, field, name))


def install_tracking(model: Any) -> None:
    """Put the attributes into a class without a program that tell of changes."""
    attributes = {
        name: TrackedAttribute(field, name)
        for name, field in model._fields.items()
        if _may_hold_others(field) and attribute_of(model, name) is field
    }
    _put(model, attributes)


def _put(model: Any, attributes: dict[str, Any]) -> None:
    before = {name: model.__dict__[name] for name in attributes if name in model.__dict__}
    type.__setattr__(model, _INSTALLED, (tuple(attributes), before))
    for name, value in attributes.items():
        type.__setattr__(model, name, value)


def uninstall(model: Any) -> None:
    """Take them out again."""
    names, before = model.__dict__.get(_INSTALLED, ((), {}))
    for name in names:
        if name in before:
            type.__setattr__(model, name, before[name])
        else:
            type.__delattr__(model, name)


def _made(kind: type[FieldAttribute] | None, plan: Plan, program: Program, tracks: bool) -> Any:
    is_rebuilt = hasattr(getattr(plan.field, "field", None), "build_lazyref")
    if kind not in _IN_C or program.table is None or (kind is ComplexAttribute and is_rebuilt):
        chosen: Any = TrackedAttribute if tracks else kind
        return chosen(plan.field, plan.name)
    index = in_table_order(program).index(plan)
    hooks = (adopted, received) if tracks else (None, None)
    is_complex = kind is ComplexAttribute
    return core.Attribute(plan.field, plan.name, is_complex, program.table, index, *hooks)


def _may_hold_others(field: Any) -> bool:
    kind: Any = type(field)
    if isinstance(field, (ComplexBaseField, DynamicField)):
        return True
    if isinstance(field, (EmbeddedDocumentField, GenericEmbeddedDocumentField)):
        return kind.__get__ is BaseField.__get__
    is_plain = kind.__get__ is BaseField.__get__ and kind.__set__ is BaseField.__set__
    return is_plain and kind.to_python is BaseField.to_python and not scalar_types(field)


def _attribute_class(field: Any, load: Load) -> type[FieldAttribute] | None:
    get = type(field).__get__
    if get in _FETCHING:
        return ReferenceAttribute
    if get in _LAZY:
        return None if type(field).build_lazyref in _BUILDING_ANEW else LazyAttribute
    if load is Load.ASSIGNED:
        return None
    if get is BaseField.__get__:
        return DeferredAttribute if load is Load.DEFERRED else FieldAttribute
    return ComplexAttribute if load is Load.DEFERRED else None


def _display(field: Any) -> Callable[[Any], Any]:
    def get_display(document: Any) -> Any:
        return display_value(document, field)

    return get_display
