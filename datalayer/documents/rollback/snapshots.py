"""Remembers what a document is like, to put it back after a transaction was rolled back."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from bson import SON
from mongoengine.base import BaseDocument

from datalayer.documents.engine.values.equality import are_single, is_same
from datalayer.documents.engine.values.lazy_data import Converters, LazyData, stop_waiting
from datalayer.documents.engine.values.tracking import Tracked
from datalayer.transactions import Note, current

Restore = Callable[[], Any]
_ABSENT: Any = object()
_SLOTS = ("_changed_fields", "_created", "_instance")


def snapshot(document: Any) -> Note:
    """A function that makes ``document`` what it is now: values, changed fields, ``_created``.

    Lists, dictionaries and embedded documents keep their identity and get their contents back.
    A value that was loaded and never read isn't converted for this; when it is read meanwhile, it
    is remembered then. Referenced documents are left alone.
    """
    return _Snapshot(document)


class _Snapshot:
    """What a document was like."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.data = document._data
        self.values = _items_of(self.data)
        self.put_back = {name: _remembered(value) for name, value in self.values.items()}
        self.pending: Any = None
        if isinstance(self.data, LazyData):
            self.pending = self.data.pending.copy()
            self.converters = self.data.converters
            self.data.converters = _Remembering(self)
        self.slots = {name: _copied(getattr(document, name, _ABSENT)) for name in _SLOTS}
        self.dynamic = _Dynamic(document) if document._dynamic else None

    def converted(self, name: str, value: Any) -> None:
        """Remember a value that waited until now."""
        if self.pending is not None and stop_waiting(self.pending, name):
            self.values[name] = value
            self.put_back[name] = _remembered(value)

    def replaced(self, name: str, value: Any) -> None:
        """Remember what was put in the place of a value, unless it is another one meanwhile."""
        before = self.values.get(name)
        if not isinstance(before, Tracked) and is_same(before, value):
            self.values[name] = value
            self.put_back[name] = _remembered(value)

    def __call__(self) -> Any:
        document, data = self.document, self.data
        values = {name: put_back() for name, put_back in self.put_back.items()}
        # Past the methods that would take the values for changes.
        if isinstance(data, LazyData):
            data.clear()
            data.pending = {} if self.pending is None else self.pending.copy()
            data.converters = self.converters
        elif isinstance(data, dict):
            data.clear()
        else:
            for name in [*data]:
                data.pop(name)
        for name, value in values.items():
            data[name] = value
        _set(document, "_data", data)
        for name, value in self.slots.items():
            _set(document, name, _copied(value))
        if self.dynamic is not None:
            self.dynamic.put_back(document)
        return document


class _Remembering(Converters):
    """Converts what is read first after a snapshot, and lets the snapshot know of it."""

    __slots__ = ("original", "snapshot")

    def __init__(self, snapshot: _Snapshot) -> None:
        self.original: Converters = snapshot.converters
        super().__init__(self.original.class_name, self.original)
        # The transaction keeps the snapshot, until it has ended.
        self.snapshot = weakref.ref(snapshot)

    def convert(self, name: str, document: Any, raw: Any) -> Any:
        value = self.original.convert(name, document, raw)
        snapshot = self.snapshot()
        if snapshot is not None:
            snapshot.converted(name, value)
        return value


class _Dynamic:
    """The fields of a dynamic document that its class doesn't have."""

    def __init__(self, document: Any) -> None:
        # A new one is there before its first value: that is after the snapshot.
        names = [name for name in document._dynamic_fields if name in document._data]
        self.fields = {name: document._dynamic_fields[name] for name in names}
        self.is_null = {name: field.null for name, field in self.fields.items()}
        known = {*type(document)._fields_ordered, *names}
        self.ordered = tuple(name for name in document._fields_ordered if name in known)

    def put_back(self, document: Any) -> None:
        for name in document._dynamic_fields:
            document.__dict__.pop(name, None)
        for name, field in self.fields.items():
            field.null = self.is_null[name]
            document.__dict__[name] = document._data[name]
        _set(document, "_dynamic_fields", SON(self.fields))
        document.__dict__["_fields_ordered"] = self.ordered


def _items_of(data: Any) -> dict[str, Any]:
    # Past LazyData's own methods, which would convert what waits.
    return dict(dict.items(data) if isinstance(data, dict) else data.items())


def _set(document: Any, name: str, value: Any) -> None:
    if value is not _ABSENT:
        object.__setattr__(document, name, value)
    elif hasattr(document, name):
        object.__delattr__(document, name)


def _copied(value: Any) -> Any:
    return list(value) if type(value) is list else value


def _remembered(value: Any) -> Restore:
    if isinstance(value, Tracked):
        value.settle()  # what it hands out later is what is put back
    if isinstance(value, list):
        return _remembered_list(value)
    if isinstance(value, dict):
        return _remembered_dict(value)
    if isinstance(value, BaseDocument) and not value._is_document:
        note = snapshot(value)
        begun = current()
        if begun is not None:
            begun.keep(value, note)
        return note
    return lambda: value


def _remembered_list(value: list[Any]) -> Restore:
    # The plain list's methods: the list's own would tell of a change, and convert.
    items = [*list.__iter__(value)]
    inner = None if are_single(items) else [_remembered(item) for item in items]
    kept = dict(getattr(value, "__dict__", ()))

    def restore() -> list[Any]:
        list.clear(value)
        list.extend(value, items if inner is None else [put_back() for put_back in inner])
        _restore_attributes(value, kept)
        return value

    return restore


def _remembered_dict(value: dict[str, Any]) -> Restore:
    items = {key: _remembered(item) for key, item in dict.items(value)}
    kept = dict(getattr(value, "__dict__", ()))

    def restore() -> dict[str, Any]:
        dict.clear(value)
        dict.update(value, {key: put_back() for key, put_back in items.items()})
        _restore_attributes(value, kept)
        return value

    return restore


def _restore_attributes(value: Any, kept: dict[str, Any]) -> None:
    if kept:
        value.__dict__.clear()
        value.__dict__.update(kept)
