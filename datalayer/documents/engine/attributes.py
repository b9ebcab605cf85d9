"""What the engine puts into a compiled class: attributes that read a value without MongoEngine's
way through several calls, and what MongoEngine gives to each document anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mongoengine.base import BaseField, BaseList, EmbeddedDocumentList
from mongoengine.base.datastructures import LazyReference
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import DynamicField, EmbeddedDocumentField, GenericEmbeddedDocumentField

from datalayer.documents.engine.compiled import core
from datalayer.documents.engine.containers import TRACKED, adopted, received
from datalayer.documents.engine.data import LazyData, lacks
from datalayer.documents.engine.internals import display_value
from datalayer.documents.engine.plans import Load, Plan, attribute_of, scalar_types
from datalayer.documents.engine.tables import in_table_order

if TYPE_CHECKING:
    from datalayer.documents.engine.programs import Program

__all__ = ["install", "install_fetching", "install_tracking", "uninstall"]

_INSTALLED = "_engine_attributes"
_TRACKED = (BaseList, EmbeddedDocumentList)


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
    """The same for a single value that may wait."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        data = document._data
        if isinstance(data, LazyData) and data.waits(self.name):
            return data.load(self.name, document)
        return data.get(self.name)


class ComplexAttribute(FieldAttribute):
    """The same for a list or a mapping, which MongoEngine wraps and dereferences."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        data = document._data
        if isinstance(data, LazyData) and data.waits(self.name):
            value = data.load(self.name, document)
        else:
            value = data.get(self.name)
        if type(value) in _TRACKED and value._dereferenced and not _is_rebuilt(self.engine_field):
            return value
        return self.engine_field.__get__(document, owner)


class TrackedAttribute(FieldAttribute):
    """The same for a value of datalayer's own documents that may hold others: lists and mappings
    in it tell of every change."""

    __slots__ = ()

    def __get__(self, document: Any, owner: Any = None) -> Any:
        if document is None:
            return self.engine_field
        data = document._data
        if isinstance(data, LazyData) and data.waits(self.name):
            value = data.load(self.name, document)
        else:
            value = data.get(self.name)
        if type(value) in TRACKED and self._is_done(value):
            return value
        value = self.engine_field.__get__(document, owner)
        return adopted(document, self.name, value) if isinstance(value, (list, dict)) else value

    def _is_done(self, value: Any) -> bool:
        """Whether MongoEngine would do nothing more with it."""
        if not isinstance(self.engine_field, ComplexBaseField):
            return True
        if not value._dereferenced:
            return False
        return not _is_rebuilt(self.engine_field) or _are_built(value)

    def __set__(self, document: Any, value: Any) -> None:
        if value is not None:
            value = received(document, self.name, value)
        self.set_value(document, value)


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


def install_fetching(model: Any) -> None:
    """Let all attributes of ``model`` fetch what a document was loaded without."""
    for name, field in model._fields.items():
        attribute = next((c.__dict__[name] for c in model.__mro__ if name in c.__dict__), None)
        knows = isinstance(attribute, (FieldAttribute, FetchingAttribute))
        if not knows and type(attribute) is not getattr(core, "Attribute", None):
            type.__setattr__(model, name, FetchingAttribute(attribute, field, name))


def _are_built(values: Any) -> bool:
    return all(isinstance(value, LazyReference) for value in list.__iter__(values))


def _is_rebuilt(field: Any) -> bool:
    # MongoEngine makes these on every access.
    return hasattr(getattr(field, "field", None), "build_lazyref")


def install(program: Program) -> None:
    """Put the attributes of ``program`` into its class."""
    model: Any = program.model
    attributes: dict[str, Any] = {}
    finds = core is not None or any(plan.load is Load.DEFERRED for plan in program.plans)
    for plan in program.plans:
        tracks = program.tracks_changes and _may_hold_others(plan.field)
        kind = _attribute_class(plan.field, plan.load) if finds else None
        if kind is not None or (tracks and attribute_of(model, plan.name) is plan.field):
            attributes[plan.name] = _made(kind, plan, program, tracks)
    if program.shares_class_name:
        attributes["_cls"] = model._class_name
    for plan in program.plans:
        name = f"get_{plan.name}_display"
        if plan.field.choices and not hasattr(model, name):
            attributes[name] = _display(plan.field)
    _put(model, attributes)


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
    is_complex = kind is ComplexAttribute
    if kind is None or program.table is None or (is_complex and _is_rebuilt(plan.field)):
        chosen: Any = TrackedAttribute if tracks else kind
        return chosen(plan.field, plan.name)
    index = in_table_order(program).index(plan)
    hooks = (adopted, received) if tracks else (None, None)
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
    if load is Load.ASSIGNED:
        return None
    if type(field).__get__ is BaseField.__get__:
        return DeferredAttribute if load is Load.DEFERRED else FieldAttribute
    return ComplexAttribute if load is Load.DEFERRED else None


def _display(field: Any) -> Callable[[Any], Any]:
    def get_display(document: Any) -> Any:
        return display_value(document, field)

    return get_display
