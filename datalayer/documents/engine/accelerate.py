"""The engine for an application's existing classes, without changing their bases."""

from __future__ import annotations

import threading
from typing import Any

import mongoengine
from mongoengine.queryset import QuerySet, QuerySetNoCache
from mongoengine.queryset.base import BaseQuerySet

from datalayer.documents.engine.compiling import forget_all
from datalayer.documents.engine.mixins import FastDocument, FastEmbeddedDocument
from datalayer.documents.engine.mongoengine_internals import is_supported
from datalayer.documents.engine.queries.queryset import (
    FastCachingQueries,
    FastPassingQueries,
    FastQueries,
)

_switching = threading.Lock()  # guards _replaced
_ABSENT: Any = object()
_replaced: dict[type, dict[str, Any]] = {}  # what stood in MongoEngine's classes, by name


def accelerate(on: bool = True) -> None:
    """Give every MongoEngine ``Document`` and ``EmbeddedDocument`` of the process the engine.

    Classes that are defined later have it, too. ``accelerate(False)`` takes it back; datalayer's
    own base classes keep it. Both may be called again. Call it while the program starts, before
    other threads use documents. With a version of MongoEngine that the engine doesn't know it
    does nothing but write a warning to the log.
    """
    with _switching:
        if on and not _replaced and is_supported():
            _replace(mongoengine.Document, FastDocument)
            _replace(mongoengine.EmbeddedDocument, FastEmbeddedDocument)
            _replace(BaseQuerySet, FastQueries)
            _replace(QuerySet, FastCachingQueries)
            _replace(QuerySetNoCache, FastPassingQueries)
        elif not on:
            for model, before in _replaced.items():
                _put_back(model, before)
            _replaced.clear()
        forget_all()


def invalidate() -> None:
    """Compile every class anew when it is used next.

    For when a class was changed after it was used first: a field's ``required``, ``default``,
    ``choices`` or limits, or a method such as ``clean`` or ``to_mongo``. Documents that were
    loaded before stay as they are.
    """
    forget_all()


def _replace(model: Any, mixin: type) -> None:
    inherited = [part for part in mixin.__mro__ if part is not object]
    functions = {
        name: value
        for part in reversed(inherited)
        for name, value in vars(part).items()
        if name == "__init__" or not name.startswith("__")
    }
    _replaced[model] = {name: model.__dict__.get(name, _ABSENT) for name in functions}
    for name, value in functions.items():
        setattr(model, name, value)


def _put_back(model: Any, before: dict[str, Any]) -> None:
    for name, value in before.items():
        if value is _ABSENT:
            delattr(model, name)
        else:
            setattr(model, name, value)
