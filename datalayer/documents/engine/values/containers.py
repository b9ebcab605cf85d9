"""The lists and mappings in datalayer's own documents: they tell their document of every change,
before it for a rollback and after it for the next save."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any

from mongoengine.base import BaseDict, BaseList, EmbeddedDocumentList

from datalayer.documents.engine.values.equality import are_single, is_same, is_single, plain
from datalayer.documents.engine.values.sharing import exchange
from datalayer.documents.engine.values.tracking import (
    Tracked,
    changing,
    proxy_of,
    stands_in_a_document,
    tracking,
)
from datalayer.transactions import current

_ABSENT: Any = object()
_MOST_KEYS = 100  # when more are set at once, the mapping is written as a whole


class TrackedList(Tracked, BaseList):
    """A list in a document; as any list, and every change of it is noticed."""

    def __init__(self, items: Iterable[Any] = (), instance: Any = None, name: str = "") -> None:
        list.__init__(self, items)
        self._instance = proxy_of(instance)
        self._path = (name,)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            self.settle()
            return list.__getitem__(self, key)
        value: Any = list.__getitem__(self, key)
        if is_single(value):
            return value
        index = key.__index__()
        return self._handed_out(index + len(self) if index < 0 else index, value)

    def __iter__(self) -> Iterator[Any]:
        self.settle()
        return list.__iter__(self)

    def __reversed__(self) -> Iterator[Any]:
        self.settle()
        return list.__reversed__(self)

    def __add__(self, other: Any) -> Any:
        self.settle()
        return list.__add__(self, other)

    def copy(self) -> list[Any]:
        """A plain list of the same items."""
        self.settle()
        return [*list.__iter__(self)]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._note()
        if isinstance(key, slice):
            list.__setitem__(self, key, [self._taken_in(item) for item in value])
            self._mark_as_changed()
            return
        before = list.__getitem__(self, key)
        list.__setitem__(self, key, value if value is before else self._taken_in(value))
        if not is_same(before, value):
            index = key.__index__()
            self._mark_as_changed(index + len(self) if index < 0 else index)

    def append(self, value: Any) -> None:
        """Add an item at the end."""
        self._note()
        list.append(self, self._taken_in(value))
        self._mark_as_changed()

    def insert(self, index: Any, value: Any) -> None:
        """Add an item before ``index``."""
        self._note()
        list.insert(self, index, self._taken_in(value))
        self._mark_as_changed()

    def extend(self, items: Iterable[Any]) -> None:
        """Add items at the end."""
        self._extend(map(self._taken_in, self if items is self else items))

    def __iadd__(self, items: Any) -> Any:
        self.extend(list(items) if items is self else items)
        return self

    _extend = changing(list.extend, may_half_fail=True)
    __delitem__ = changing(list.__delitem__)
    __imul__ = changing(list.__imul__)
    clear = changing(list.clear)
    pop = changing(list.pop)
    remove = changing(list.remove)
    reverse = changing(list.reverse)
    sort = changing(list.sort, may_half_fail=True)

    def settle(self) -> None:
        """Make all items tell of their changes now."""
        if not are_single(list.__iter__(self)):
            items: Iterator[Any] = list.__iter__(self)
            for index, value in enumerate(items):
                self._handed_out(index, value)


class TrackedEmbeddedDocumentList(TrackedList, EmbeddedDocumentList):
    """A list of embedded documents that notices its changes, with MongoEngine's ways to find some
    of them."""

    def filter(self, **kwargs: Any) -> Any:
        """Those that have these values."""
        return self._of_the_same(super().filter(**kwargs))

    def exclude(self, **kwargs: Any) -> Any:
        """Those that don't."""
        return self._of_the_same(super().exclude(**kwargs))

    def _of_the_same(self, found: Any) -> Any:
        same = TrackedEmbeddedDocumentList(list.__iter__(found), self._instance)
        same._path = self._path
        return same


class TrackedDict(Tracked, BaseDict):
    """A mapping in a document; as any dictionary, and every change of it is noticed."""

    def __init__(self, items: Any = (), instance: Any = None, name: str = "") -> None:
        dict.__init__(self, items)
        self._instance = proxy_of(instance)
        self._path = (name,)

    def __getitem__(self, key: Any) -> Any:
        value: Any = dict.__getitem__(self, key)
        return value if is_single(value) else self._handed_out(key, value)

    def values(self) -> Any:
        """The values."""
        self.settle()
        return dict.values(self)

    def items(self) -> Any:
        """Keys and values."""
        self.settle()
        return dict.items(self)

    def copy(self) -> dict[Any, Any]:
        """A plain dictionary of the same values."""
        self.settle()
        return dict(dict.items(self))

    def __or__(self, other: Any) -> Any:
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    def __setitem__(self, key: Any, value: Any) -> None:
        self._note()
        before = dict.get(self, key, _ABSENT)
        dict.__setitem__(self, key, value if value is before else self._taken_in(value))
        if not is_same(before, value):
            self._mark_as_changed(key)

    def __delitem__(self, key: Any) -> None:
        self._note()
        dict.__delitem__(self, key)
        self._mark_as_changed(key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """The value under ``key``, set to ``default`` where there is none."""
        if not dict.__contains__(self, key):
            self[key] = default
        return self[key]

    def pop(self, key: Any, *default: Any) -> Any:
        """Take the value under ``key`` out."""
        if not dict.__contains__(self, key):
            return dict.pop(self, key, *default)
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[Any, Any]:
        """Take the last value out."""
        if not self:
            return dict.popitem(self)
        key: Any = next(dict.__reversed__(self))
        return key, self.pop(key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set the values under several keys."""
        values = dict(*args, **kwargs)
        if len(values) > _MOST_KEYS:
            self._update({key: self._taken_in(value) for key, value in values.items()})
            return
        for key, value in values.items():
            self[key] = value

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    _update = changing(dict.update)
    clear = changing(dict.clear)

    def settle(self) -> None:
        """Make all values tell of their changes now."""
        if not are_single(dict.values(self)):
            items: list[tuple[Any, Any]] = list(dict.items(self))
            for key, value in items:
                self._handed_out(key, value)


TRACKED = frozenset({TrackedDict, TrackedEmbeddedDocumentList, TrackedList})
Tracked.kinds.update(
    {EmbeddedDocumentList: TrackedEmbeddedDocumentList, list: TrackedList, dict: TrackedDict}
)


def tracked(document: Any, name: str, value: Any) -> Any:
    """``value`` as what tells ``document`` of its changes, where it is a list or a mapping."""
    if isinstance(value, Tracked) or not isinstance(value, (list, dict)):
        return value
    made = tracking(value, weakref.proxy(document), (name,))
    made._dereferenced = getattr(value, "_dereferenced", False)
    return made


def adopted(document: Any, name: str, value: Any) -> Any:
    """``value``, which the field called ``name`` gave, as what tells ``document`` of its changes;
    ``document`` keeps that."""
    made = tracked(document, name, value)
    if made is value:
        return value
    kept = exchange(document._data, name, value, made)
    begun = current()
    if kept is made and begun is not None:
        begun.replaced(document, name, made)
    return kept


def received(document: Any, name: str, value: Any) -> Any:
    """``value`` as ``document`` may keep it under ``name``; notes what the field would miss.

    A list or mapping that stands in a document already is copied.
    """
    before = document._data.get(name)
    may_have_changed = value is before and _is_untracked(value)
    if document._initialised and (may_have_changed or not is_same(before, value)):
        document._mark_as_changed(name)
    if value is before or not isinstance(value, (list, dict)):
        return value
    if not isinstance(value, Tracked):
        return plain(value) if isinstance(value, (BaseDict, BaseList)) else value
    if stands_in_a_document(value):
        return plain(value)
    value._instance, value._path = weakref.proxy(document), (name,)
    return value


def _is_untracked(value: Any) -> bool:
    """Whether ``value`` may have changed without a word while it stood in a document."""
    return isinstance(value, (list, dict)) and not isinstance(value, Tracked)
