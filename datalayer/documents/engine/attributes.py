"""What the engine puts into a compiled class: attributes that read a value without MongoEngine's
way through several calls, and what MongoEngine gives to each document anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bson import DBRef
from mongoengine.base import BaseField, BaseList, EmbeddedDocumentList
from mongoengine.fields import (
    CachedReferenceField,
    GenericLazyReferenceField,
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    ReferenceField,
)

from datalayer.documents.engine.compiled import core
from datalayer.documents.engine.data import LazyData
from datalayer.documents.engine.internals import display_value
from datalayer.documents.engine.plans import Load, Plan
from datalayer.documents.engine.sharing import done, first_read, read_first
from datalayer.documents.engine.tables import in_table_order

if TYPE_CHECKING:
    from datalayer.documents.engine.programs import Program

__all__ = ["install", "uninstall"]

_INSTALLED = "_engine_attributes"
_TRACKED = (BaseList, EmbeddedDocumentList)
_FETCHING = frozenset(
    {CachedReferenceField.__get__, GenericReferenceField.__get__, ReferenceField.__get__}
)
_LAZY = frozenset({GenericLazyReferenceField.__get__, LazyReferenceField.__get__})
_BUILDING_ANEW = frozenset(
    {GenericLazyReferenceField.build_lazyref, LazyReferenceField.build_lazyref}
)


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
            return None

    def __set__(self, document: Any, value: Any) -> None:
        self.set_value(document, value)


class DeferredAttribute(FieldAttribute):
    """The same for a single value that may wait."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        data = document._data
        if type(data) is LazyData and data.waits(self.name):
            return data.load(self.name, document)
        return data.get(self.name)


class ComplexAttribute(FieldAttribute):
    """The same for a list or a mapping, which MongoEngine wraps and dereferences."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        data = document._data
        if type(data) is LazyData and data.waits(self.name):
            value = data.load(self.name, document)
        else:
            value = data.get(self.name)
        if value is None or self.is_complete(value):
            return value
        return read_first(self.engine_field, document, owner)

    def is_complete(self, value: Any) -> bool:
        """Whether MongoEngine would give ``value`` as it is."""
        return type(value) in _TRACKED and value._dereferenced


class LazyListAttribute(ComplexAttribute):
    """The same for a list of lazy references, which MongoEngine makes anew on every access: what
    is added to a list that somebody holds would be lost."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = document._data.get(self.name)
        if value is None or self.is_complete(value):
            return value
        with first_read(document):
            value = document._data.get(self.name)
            if not self.is_complete(value):  # or another thread was here
                value = self.engine_field.__get__(document, owner)
            done(document)
            return value

    def is_complete(self, value: Any) -> bool:
        """Whether all items are references as the field makes them."""
        if not super().is_complete(value):
            return False
        build = self.engine_field.field.build_lazyref
        return all(build(item) is item for item in list.__iter__(value))


class ReferenceAttribute(FieldAttribute):
    """The same for a reference, whose document is fetched when it is first read."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = document._data.get(self.name)
        if not isinstance(value, (DBRef, dict)):
            return value
        if not document._fields[self.name]._auto_dereference:
            return value
        return read_first(self.engine_field, document, owner)


class LazyAttribute(FieldAttribute):
    """The same for a lazy reference of a kind that all threads share."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        value = document._data.get(self.name)
        if value is None or self.engine_field.build_lazyref(value) is value:
            return value
        return read_first(self.engine_field, document, owner)


_IN_C = (FieldAttribute, DeferredAttribute, ComplexAttribute)
_WHERE_VALUES_WAIT = (*_IN_C, LazyListAttribute)


def install(program: Program) -> None:
    """Put the attributes of ``program`` into its class."""
    model: Any = program.model
    attributes: dict[str, Any] = {}
    is_needed = core is not None or any(plan.load is Load.DEFERRED for plan in program.plans)
    for plan in program.plans:
        kind = _attribute_class(plan.field, plan.load)
        if kind is not None and (is_needed or kind not in _WHERE_VALUES_WAIT):
            attributes[plan.name] = _made(kind, plan, program)
    if program.shares_class_name:
        attributes["_cls"] = model._class_name
    for plan in program.plans:
        name = f"get_{plan.name}_display"
        if plan.field.choices and not hasattr(model, name):
            attributes[name] = _display(plan.field)
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


def _made(kind: type[FieldAttribute], plan: Plan, program: Program) -> Any:
    if program.table is None or kind not in _IN_C:
        return kind(plan.field, plan.name)
    index = in_table_order(program).index(plan)
    return core.Attribute(plan.field, plan.name, kind is ComplexAttribute, program.table, index)


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
    if load is not Load.DEFERRED:
        return None
    is_rebuilt = isinstance(field, ListField) and hasattr(field.field, "build_lazyref")
    return LazyListAttribute if is_rebuilt else ComplexAttribute


def _display(field: Any) -> Callable[[Any], Any]:
    def get_display(document: Any) -> Any:
        return display_value(document, field)

    return get_display
