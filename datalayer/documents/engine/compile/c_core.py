"""The engine's loops in C, where the extension module was built; the Python beside them does the
same without it."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from importlib import import_module
from types import NoneType
from typing import Any
from uuid import UUID

import mongoengine
from bson import Decimal128, Int64, ObjectId
from mongoengine.base import BaseDict, BaseDocument, BaseList, EmbeddedDocumentList

from datalayer.documents.engine.compile import encode
from datalayer.documents.engine.mongoengine_internals import EMPTY, listened_to, stock
from datalayer.documents.engine.values.containers import (
    TRACKED,
    TrackedDict,
    TrackedEmbeddedDocumentList,
    TrackedList,
)
from datalayer.documents.engine.values.lazy_data import LazyData
from datalayer.documents.engine.values.sharing import read_first

_PURE = "DATALAYER_PURE_PYTHON"  # a variable for measuring and testing the Python alone


_SINGLE = frozenset({NoneType, bool, float, datetime, ObjectId, Decimal128, UUID})
_TRACKED = frozenset({BaseDict, BaseList, EmbeddedDocumentList}) | TRACKED
_UNCHANGING = _SINGLE | {int, str}
_MAPPINGS = frozenset({dict, BaseDict, TrackedDict})
_LISTS = frozenset(
    {list, BaseList, EmbeddedDocumentList, TrackedList, TrackedEmbeddedDocumentList}
)


def _load() -> Any:
    if os.environ.get(_PURE) or not _runs_one_thread_at_a_time():
        return None
    try:
        module: Any = import_module("datalayer.documents.engine._core")
    except ImportError:  # it was not built
        return None
    slots = (
        BaseDocument._data,
        BaseDocument._changed_fields,
        BaseDocument._initialised,
        BaseDocument._created,
        BaseDocument._dynamic_fields,
        mongoengine.EmbeddedDocument._instance,
        LazyData.__dict__["pending"],
        LazyData.__dict__["converters"],
        LazyData.__dict__["document"],
    )
    kinds = (tuple(_TRACKED), tuple(TRACKED), tuple(_SINGLE))
    module.init = module.set_up(
        slots, BaseDocument, LazyData, EMPTY, *kinds, _init, read_first,
        ObjectId.__dict__["_ObjectId__id"], Int64,
    )  # fmt: skip
    encode.set_up(module)
    return module


def _runs_one_thread_at_a_time() -> bool:
    """Whether the interpreter has its lock (GIL), which the part in C counts on.

    Where it hasn't, importing the part in C would switch the lock on, for the whole process.
    """
    is_enabled: Any = getattr(sys, "_is_gil_enabled", None)  # since Python 3.13
    return is_enabled is None or bool(is_enabled())


def _init(document: Any, /, *args: Any, **values: Any) -> None:
    """Construct a document whose class has no table, or has somebody who wants to hear of it."""
    if args or listened_to(type(document)):
        document._engine_prepare()
        is_document = type(document)._is_document
        construct = stock.document_init if is_document else stock.embedded_init
        construct(document, *args, **values)
    else:
        document._engine_construct(values)


def fast_init() -> Any:
    """The ``__init__`` of documents with the engine."""
    return _init if core is None else core.init


core: Any = _load()


def is_compiled() -> bool:
    """Whether the loops run in C."""
    return core is not None


def plain_copy(value: Any) -> Any:
    """A copy of a mapping or list of mappings, lists and single values; ``None`` where it holds
    anything else. MongoEngine asks each of these what it is."""
    if core is not None:
        return core.plain_copy(value)
    try:
        return _copied(value) if type(value) in _MAPPINGS or type(value) in _LISTS else None
    except (_NotPlainError, RecursionError):
        return None


def list_copy(value: Any) -> list[Any]:
    """A plain list of the same items, past the list's own methods.

    ``list.copy`` makes room first and then copies as many items as there were: on Python 3.11,
    where making room runs the collector, a list that its callbacks or another thread shorten
    meanwhile crashes the process.
    """
    copied: list[Any]
    copied = [*list.__iter__(value)] if core is None else core.list_copy(value)
    return copied


class _NotPlainError(Exception):
    pass


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind in _UNCHANGING:
        return value
    if kind in _MAPPINGS:
        if not all(type(key) is str for key in dict.keys(value)):
            raise _NotPlainError
        return {key: _copied(item) for key, item in dict.items(value)}
    if kind in _LISTS:
        return [_copied(item) for item in list.__iter__(value)]
    raise _NotPlainError
