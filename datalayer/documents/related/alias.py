"""Which database a document's files and sequence numbers belong to: the document's own, wherever
its operations go at present."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import mongoengine
from mongoengine.base import get_document
from mongoengine.base.common import _document_registry
from mongoengine.errors import NotRegistered
from mongoengine.fields import EmbeddedDocumentField, GenericEmbeddedDocumentField

from datalayer import routing
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.errors import ConfigurationError

SWITCHED = "_switched_alias"
"""The attribute of a document that ``switch_db`` sends elsewhere: to which alias."""


def alias_of(field: Any, document: Any, *, before_switching: bool = False) -> str:
    """The alias that what ``field`` keeps of ``document`` goes to now.

    A field with a ``db_alias`` of its own stays there, or where ``db.using`` sends that alias.
    Any other goes with the document that it is a part of; without one (``document`` is
    ``None``, or an embedded document that no other holds yet) with the models that have it.
    ``before_switching`` leaves out of account that ``switch_db`` sent the document elsewhere.

    Raises:
        ConfigurationError: where these are in several databases.
    """
    if field.db_alias != DEFAULT_ALIAS:
        return routing.redirected(field.db_alias)
    root = root_of(document)
    if root is not None:
        switched: str | None = None if before_switching else root.__dict__.get(SWITCHED)
        return switched or routing.alias_for(root.__class__)
    if issubclass(field.model, mongoengine.Document):
        return routing.alias_for(field.model)
    return _common_alias(field)


def root_of(document: Any) -> Any:
    """The document with a collection that ``document`` is, or is a part of; ``None`` if none."""
    try:
        while document is not None and not isinstance(document, mongoengine.Document):
            document = document._instance
    except (AttributeError, ReferenceError):  # a part whose document is gone
        return None
    return document


def _common_alias(field: Any) -> str:
    found = {routing.alias_for(model) for model in _models_with(field.model)}
    if len(found) > 1:
        raise ConfigurationError(
            f"{field.model.__name__}.{field.name} belongs to the database of its document, and "
            f"there are models with it in {', '.join(map(repr, sorted(found)))}: make it a part "
            "of a document first"
        )
    return found.pop() if found else routing.redirected(DEFAULT_ALIAS)


def _models_with(part: Any) -> Iterator[Any]:
    for model in list(_document_registry.values()):
        if issubclass(model, mongoengine.Document) and not model._meta.get("abstract"):
            classes = {owner for owner, _ in fields_within(model)}
            if any(issubclass(part, other) for other in classes):
                yield model


def fields_within(model: Any, seen: frozenset[Any] = frozenset()) -> Iterator[tuple[Any, Any]]:
    """The fields of ``model`` and of what it embeds, each with the class that has it."""
    for field in list(model._fields.values()):
        inner = field
        while inner is not None:
            yield model, inner
            for part in _embedded_in(inner):
                if part not in seen:
                    yield from fields_within(part, seen | {part})
            inner = getattr(inner, "field", None)


def _embedded_in(field: Any) -> Iterator[Any]:
    try:
        if isinstance(field, EmbeddedDocumentField):
            yield field.document_type
        elif isinstance(field, GenericEmbeddedDocumentField):
            for choice in field.choices or ():
                yield get_document(choice) if isinstance(choice, str) else choice
    except NotRegistered:
        return  # its class isn't defined yet


def parts_within(value: Any, owner: Any) -> Iterator[Any]:
    """The embedded documents in ``value``, a part of ``owner``, at any depth; from now on each
    knows what it is a part of."""
    if isinstance(value, mongoengine.EmbeddedDocument):
        if value._instance is None:
            value._instance = weakref.proxy(owner)
        yield value
        for inner in values_of(value):
            yield from parts_within(inner, value)
    elif isinstance(value, (list, tuple)):
        for item in tuple.__iter__(value) if isinstance(value, tuple) else list.__iter__(value):
            yield from parts_within(item, owner)
    elif isinstance(value, dict):
        for item in list(dict.values(value)):
            yield from parts_within(item, owner)


def values_of(document: Any, *, with_waiting: bool = False) -> list[Any]:
    """The values of ``document``; those that wait to be read for the first time, which are as the
    database has them, only if asked for."""
    data = document._data
    if isinstance(data, dict) and not with_waiting:
        return list(dict.values(data))
    return [value for _, value in data.items()]
