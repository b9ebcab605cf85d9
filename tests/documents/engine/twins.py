"""Twin classes for comparing the engine with MongoEngine: the same definition once on
MongoEngine's own base classes and once with the engine; and what a document shows from outside."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mongoengine as me
from mongoengine.base import BaseDocument
from mongoengine.base.common import _document_registry

from datalayer.documents.engine import FastDocument, FastEmbeddedDocument

__all__ = ["ENGINE", "STOCK", "Base", "Colour", "failed", "outcome", "registered", "shown"]


class Colour(enum.Enum):
    """For EnumField."""

    RED = "red"
    BLUE = "blue"


class _FastDocument(FastDocument, me.Document):
    meta = {"abstract": True}


class _FastEmbeddedDocument(FastEmbeddedDocument, me.EmbeddedDocument):
    meta = {"abstract": True}


class Base:
    """The base classes of one kind of twin, and the classes made from them."""

    def __init__(self, document: type, embedded: type) -> None:
        self.document = document
        self.embedded = embedded

    def part(self, name: str, fields: dict[str, Any], **meta: Any) -> Any:
        """An embedded document class."""
        return type(self.embedded)(name, (self.embedded,), {**fields, "meta": meta})

    def model(self, name: str, fields: dict[str, Any], **meta: Any) -> Any:
        """A document class."""
        return type(self.document)(name, (self.document,), {**fields, "meta": meta})


STOCK = Base(me.Document, me.EmbeddedDocument)
ENGINE = Base(_FastDocument, _FastEmbeddedDocument)


@contextmanager
def registered(*classes: type) -> Iterator[None]:
    """Let these classes be the ones that MongoEngine finds by their names."""
    before = dict(_document_registry)
    _document_registry.update({each._class_name: each for each in classes})
    try:
        yield
    finally:
        _document_registry.clear()
        _document_registry.update(before)


def shown(value: Any) -> Any:
    """All that can be seen of a value, at any depth: types, contents, order, noted changes."""
    if isinstance(value, BaseDocument):
        fields = {name: shown(getattr(value, name)) for name in value._fields_ordered}
        noted = list(getattr(value, "_changed_fields", ["(none)"]))
        return type(value).__name__, fields, noted, value._created
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [shown(value[index]) for index in range(len(value))]
    if isinstance(value, dict):
        return type(value).__name__, [(key, shown(value[key])) for key in value]
    return type(value).__name__, repr(value)


def outcome(act: Callable[[], Any]) -> Any:
    """What ``act`` returns, shown, or the error that it raises."""
    try:
        return shown(act())
    except me.ValidationError as exc:
        return "raised", type(exc).__name__, str(exc), repr(exc.to_dict())
    except Exception as exc:  # whatever it is, both have to raise it
        return "raised", type(exc).__name__, str(exc)


def failed(found: Any) -> bool:
    """Whether an outcome is an error."""
    return bool(found[0] == "raised")
