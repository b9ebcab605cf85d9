"""Where do documents of a model hold references, and to documents of which collections? Reads the
model's fields, and asks no server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import mongoengine
from mongoengine.base.common import _document_registry
from mongoengine.base.fields import ComplexBaseField
from mongoengine.errors import NotRegistered
from mongoengine.fields import (
    CachedReferenceField,
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    ReferenceField,
)

from datalayer.errors import ConfigurationError
from datalayer.indexes import alias_of

_TO_ONE_MODEL = (ReferenceField, LazyReferenceField, CachedReferenceField)


@dataclass(frozen=True)
class Home:
    """A collection that references may lead to."""

    alias: str
    collection: str


@dataclass(frozen=True)
class References:
    """The references of one field."""

    path: str
    """Where they are, as rules write it: ``lines[].product``."""
    homes: tuple[Home, ...] | None
    """The collections in which they have to be found, in one of them; ``None`` for generic ones,
    each of which names a class."""
    id_paths: tuple[str, ...]
    """Where in the value the id stands; the first that is there counts."""


def references_of(models: Iterable[Any]) -> list[References]:
    """The references of ``models``, which share a collection.

    Raises:
        ConfigurationError: for one to a model that isn't known.
    """
    found = {
        each: None
        for model in models
        for name, field in model._fields.items()
        for each in _in_field(field, field.db_field or name, ())
    }
    return list(found)


def home_of_class(name: str) -> Home | None:
    """Where documents of the class live that a generic reference names, if it is known."""
    model = _document_registry.get(name)
    return None if model is None or not _has_collection(model) else _home(model)


def _in_field(field: Any, path: str, around: tuple[Any, ...]) -> Iterator[References]:
    if isinstance(field, GenericReferenceField):
        yield References(path, None, ("_ref.$id", "_ref"))
    elif isinstance(field, _TO_ONE_MODEL):
        inside = "_id" if isinstance(field, CachedReferenceField) else "$id"
        yield References(path, _homes(field, path), (inside, ""))
    elif isinstance(field, ComplexBaseField) and field.field is not None:
        step = "[]" if isinstance(field, ListField) else ".*"
        yield from _in_field(field.field, path + step, around)
    elif isinstance(field, EmbeddedDocumentField):
        yield from _in_embedded(_with_subclasses(field.document_type), path, around)
    elif isinstance(field, GenericEmbeddedDocumentField):
        yield from _in_embedded(field.choices or (), path, around)


def _in_embedded(
    models: Iterable[Any], path: str, around: tuple[Any, ...]
) -> Iterator[References]:
    for given in models:
        model = _document_registry.get(given) if isinstance(given, str) else given
        if model is None or model in around:  # a document in itself: the outermost is looked at
            continue
        for name, field in model._fields.items():
            yield from _in_field(field, f"{path}.{field.db_field or name}", (*around, model))


def _homes(field: Any, path: str) -> tuple[Home, ...]:
    candidates: list[Any] = []
    with suppress(NotRegistered):
        model = field.document_type
        candidates = [model] if _has_collection(model) else _with_subclasses(model)
    homes = dict.fromkeys(_home(each) for each in candidates if _has_collection(each))
    if not homes:
        raise ConfigurationError(
            f"{field.owner_document.__name__}.{path} refers to a model that isn't known; import "
            "its module too, on the command line with another --models"
        )
    return tuple(homes)


def _has_collection(model: Any) -> bool:
    return (
        issubclass(model, mongoengine.Document)
        and not model._meta.get("abstract")
        and bool(model._meta.get("collection"))
    )


def _home(model: Any) -> Home:
    return Home(alias_of(model), model._get_collection_name())


def _with_subclasses(model: Any) -> list[Any]:
    known = set(_document_registry.values())
    return [model, *(each for each in _below(model) if each in known)]


def _below(model: Any) -> Iterator[Any]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)
