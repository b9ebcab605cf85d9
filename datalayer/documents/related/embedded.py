"""Walks through embedded documents: the fields of their classes, and the documents in values."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import mongoengine
from mongoengine.base import get_document
from mongoengine.errors import NotRegistered
from mongoengine.fields import EmbeddedDocumentField, GenericEmbeddedDocumentField


def levels(field: Any) -> Iterator[Any]:
    """The field, what it holds, and so on."""
    while field is not None:
        yield field
        field = getattr(field, "field", None)


def fields_within(model: Any, seen: frozenset[Any] = frozenset()) -> Iterator[tuple[Any, Any]]:
    """The fields of ``model`` and of what it embeds, each with the class that has it."""
    for field in list(model._fields.values()):
        for inner in levels(field):
            yield model, inner
            for part in _embedded_in(inner):
                if part not in seen:
                    yield from fields_within(part, seen | {part})


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
