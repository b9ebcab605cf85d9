"""Gives a class of datalayer's fields that know it: its files and numbers go where its documents
go, and its references lead into any database."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

import mongoengine
from mongoengine.base import get_document
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import (
    EmbeddedDocumentField,
    FileField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    GridFSProxy,
    ImageField,
    LazyReferenceField,
    ReferenceField,
    SequenceField,
)

from datalayer import transactions
from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.documents.engine.field_plan import attribute_of
from datalayer.documents.engine.values.lazy_data import lacks
from datalayer.documents.related.alias import (
    SWITCHED,
    alias_of,
    fields_within,
    parts_within,
    root_of,
    values_of,
)
from datalayer.documents.related.file_fields import ModelFileField, ModelImageField
from datalayer.documents.related.files import ModelFile, file_class, settle
from datalayer.documents.related.gridfs import prepare_for_transactions
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
_prepared: WeakKeyDictionary[Connection, tuple[int, set[Any]]] = WeakKeyDictionary()
_parts: set[Any] = set()  # the embedded documents with files or numbers
# Whether models have such parts, as of that number of them.
_having_parts: WeakKeyDictionary[Any, tuple[int, bool]] = WeakKeyDictionary()


def replace_fields(model: Any) -> None:
    """Replace fields of ``model``, which is being defined, by ones that belong to it."""
    own: list[str] = []
    for name, field in list(model._fields.items()):
        replacement = _replacement(field, model)
        if replacement is not field:
            if attribute_of(model, name) is field:
                type.__setattr__(model, name, replacement)
            if model._meta.get("id_field") == name:
                type.__setattr__(model, "id", replacement)
            model._fields[name] = replacement
        if any(isinstance(each, _OF_ITS_DATABASE) for each in _levels(replacement)):
            own.append(name)
    model._own_fields = tuple(own)
    if own and not issubclass(model, mongoengine.Document):
        _parts.add(model)


def _levels(field: Any) -> Iterable[Any]:
    """The field, what it holds, and so on."""
    while field is not None:
        yield field
        field = getattr(field, "field", None)


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


def needs_completing(document: Any) -> bool:
    """Whether ``document`` may have files or numbers that ``complete`` has to see to."""
    if document._own_fields or not _parts:
        return bool(document._own_fields)
    model = type(document)
    count, found = _having_parts.get(model, (0, False))
    if count < len(_parts):
        owners = {owner for owner, _ in fields_within(model)}
        found = any(issubclass(part, owner) for part in list(_parts) for owner in owners)
        _having_parts[model] = (len(_parts), found)
    return found


def complete(document: Any) -> None:
    """Before ``document`` is written: what is missing or elsewhere of its files and numbers.

    Embedded documents that were put into lists get to know it, and their numbers. The files of a
    new or changed document that are in another database, as of one that ``switch_db`` copies,
    are copied to its own.
    """
    switched = document.__dict__.get(SWITCHED)
    owners = [document]
    if _parts:
        for value in values_of(document, with_waiting=switched is not None):
            owners += [part for part in parts_within(value, document) if type(part) in _parts]
    for owner in owners:
        for name in owner._own_fields:
            if lacks(owner, name):  # it wasn't loaded, and what stores all refuses the document
                continue
            _complete_field(owner, name, is_switched=switched is not None)


def _complete_field(owner: Any, name: str, *, is_switched: bool) -> None:
    field = owner._fields[name]
    innermost = list(_levels(field))[-1]
    if isinstance(field, SequenceField):
        if is_switched or root_of(owner) is not owner:
            getattr(owner, name)  # draws it
        return
    if not isinstance(innermost, FileField):
        return
    root = root_of(owner)
    alias = alias_of(innermost, owner)
    for file in _files_in(owner._data.get(name)):
        if file.grid_id is None:
            continue
        if file.instance is None:  # of a list, which doesn't know of its changes
            file.key, file.instance = name, owner
            if isinstance(file, ModelFile) and file.is_changed:
                owner._mark_as_changed(name)
        if root._created or root._get_changed_fields():
            settle(file, alias)


def _files_in(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _files_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _files_in(item)
    elif isinstance(value, GridFSProxy):
        yield value


def _prepare_files(connection: Connection, models: Iterable[Any]) -> None:
    """Before a transaction over ``connection``: build the indexes of the models' files, again
    where something was dropped."""
    generation = connection.prepared.generation
    known = _prepared.get(connection)
    if known is None or known[0] != generation:
        known = _prepared[connection] = (generation, set())
    names: set[str] = set()
    for model in models:
        if model not in known[1]:
            names |= _file_collections(model, connection.alias)
            known[1].add(model)
    for name in names:
        prepare_for_transactions(connection, name)


def _file_collections(model: Any, alias: str) -> set[str]:
    return {
        field.collection_name
        for each in map(get_document, model._subclasses)
        for _, field in fields_within(each)
        if isinstance(field, ModelFileField) and field.db_alias in (DEFAULT_ALIAS, alias)
    }


transactions.before.append(_prepare_files)
