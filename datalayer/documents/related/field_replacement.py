"""Replaces MongoEngine's fields for files, sequence numbers and references, in a class of
datalayer's, by ones that follow its documents into any database."""

from __future__ import annotations

import copy
from types import MethodType
from typing import Any

import mongoengine
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import (
    EmbeddedDocumentField,
    FileField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    ImageField,
    LazyReferenceField,
    ReferenceField,
    SequenceField,
)

from datalayer.documents.engine.field_plan import attribute_of
from datalayer.documents.related.embedded import levels
from datalayer.documents.related.file_fields import ModelFileField, ModelImageField
from datalayer.documents.related.files import file_class
from datalayer.documents.related.references import (
    ModelGenericLazyReferenceField,
    ModelLazyReferenceField,
    load_references,
)
from datalayer.documents.related.sequences import ModelSequenceField

# MongoEngine's own fields, the more special first, and what stands for them.
_REPLACEMENTS: dict[Any, Any] = {
    ImageField: ModelImageField,
    FileField: ModelFileField,
    SequenceField: ModelSequenceField,
    GenericLazyReferenceField: ModelGenericLazyReferenceField,
    LazyReferenceField: ModelLazyReferenceField,
}
_OWN = tuple(_REPLACEMENTS.values())
# What a container may hold that leads to other documents.
_LEADING = (
    ComplexBaseField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    ReferenceField,
)
_OF_ITS_DATABASE = (ModelFileField, ModelSequenceField)
_made: dict[Any, Any] = dict(_REPLACEMENTS)
embedded_owners: set[Any] = set()
"""The classes of embedded documents that have files or sequence numbers."""


def replace_fields(model: Any) -> None:
    """Replace such fields of ``model``, which is being defined."""
    own: list[str] = []
    for name, field in list(model._fields.items()):
        replacement = _replacement(field, model)
        if replacement is not field:
            if attribute_of(model, name) is field:
                type.__setattr__(model, name, replacement)
            if model._meta.get("id_field") == name:
                type.__setattr__(model, "id", replacement)
            model._fields[name] = replacement
        if any(isinstance(each, _OF_ITS_DATABASE) for each in levels(replacement)):
            own.append(name)
    model._own_fields = tuple(own)
    if own and not issubclass(model, mongoengine.Document):
        embedded_owners.add(model)


def _replacement(field: Any, model: Any) -> Any:
    if isinstance(field, ComplexBaseField):
        return _container_of_replacements(field, model)
    kind = _kind_for(type(field))
    if kind is None:
        return field
    if field.owner_document is None:
        field.owner_document = model  # MongoEngine names a sequence by the first class that has it
    replacement = _copy_of(field)
    replacement.__class__ = kind
    replacement.model = model
    if isinstance(replacement, FileField):
        replacement.proxy_class = file_class(field.proxy_class)
    return replacement


def _container_of_replacements(field: Any, model: Any) -> Any:
    inner = None if field.field is None else _replacement(field.field, model)
    leads_anywhere = inner is None or isinstance(inner, _LEADING)
    if inner is field.field and not leads_anywhere:
        return field
    if inner is field.field and "_lazy_load_refs" in vars(field):
        return field
    if field.owner_document is None:
        field.owner_document = model
    replacement = _copy_of(field)
    replacement.field = inner
    if leads_anywhere:
        replacement._lazy_load_refs = load_references
    return replacement


def _copy_of(field: Any) -> Any:
    copied = copy.copy(field)
    for name, value in vars(field).items():
        if isinstance(value, MethodType) and value.__self__ is field:
            setattr(copied, name, MethodType(value.__func__, copied))
    return copied


def _kind_for(kind: type) -> Any:
    """The class that stands for ``kind``: its own functions go before ours, and ours before
    MongoEngine's."""
    if kind in _made:
        return _made[kind]
    if issubclass(kind, _OWN):
        return kind
    for theirs, ours in _REPLACEMENTS.items():
        if issubclass(kind, theirs):
            names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
            return _made.setdefault(kind, type(kind.__name__, (kind, ours), names))
    return None
