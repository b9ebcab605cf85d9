"""Documents loaded in part, by ``only()``, ``exclude()`` or ``fields()``: what wasn't loaded is
fetched when it is read."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from mongoengine import EmbeddedDocument
from mongoengine.base import BaseDocument
from mongoengine.errors import OperationError
from pymongo.read_preferences import ReadPreference

from datalayer.documents.engine import (
    Converters,
    LazyData,
    PartialData,
    default_of,
    let_fetch,
    plain_next,
    slots,
)
from datalayer.documents.partial import stale
from datalayer.documents.partial.home import home_of, settling_in
from datalayer.documents.partial.projections import Projection, projection_of
from datalayer.routing import followed

_PROJECTION = "_projection"
_NO_CONVERTERS = Converters("", {})
some_are_parts = False
"""Whether this process has loaded an embedded document in part: it may be moved elsewhere."""


class Part:
    """What was loaded of a document or an embedded one, and where the rest is."""

    __slots__ = ("absent", "origin", "projection")

    def __init__(self, projection: Projection, absent: frozenset[str], origin: Origin | None):
        self.projection = projection
        self.absent = absent
        self.origin = origin

    def fetch(self, data: PartialData, name: str, document: Any) -> Any:
        """The value called ``name``, put into ``data``.

        Raises:
            StaleDocumentError: where the document is gone.
            OperationError: for an item of a list, and a document without its key.
        """
        field = document._fields[name]
        origin = self.origin or _root(document)
        if origin is None:
            raise OperationError(
                f"{type(document).__name__}.{name} wasn't loaded, and can't be fetched for an "
                "item of a list or a document without its key: load all of it, or reload()"
            )
        document._note_in_transaction()
        raw = origin.find(field.db_field)
        value = default_of(field) if raw is None else field.to_python(raw)
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(each, EmbeddedDocument):
                each._instance = weakref.proxy(document)
        return data.setdefault_now(name, value)  # another thread may have been first


class Origin:
    """Where a document, or an embedded one in it, was loaded from."""

    __slots__ = ("home", "key", "model", "path", "root")

    def __init__(self, root: Any, path: str = "") -> None:
        self.model = type(root)
        self.root = weakref.ref(root)
        self.key = stale.loaded_key(root)
        self.home = home_of(root)
        self.path = path

    def within(self, key: str) -> Origin:
        """Where the value under ``key`` was loaded from."""
        other: Origin = object.__new__(Origin)
        other.model, other.root, other.key = self.model, self.root, self.key
        other.home = self.home
        other.path = f"{self.path}{key}."
        return other

    def find(self, key: str) -> Any:
        """The raw value under ``key``; ``None`` where there is none."""
        root = self.root()
        home = home_of(root) or self.home
        with nullcontext() if home is None else followed(home):
            collection: Any = (self.model if root is None else root)._get_collection()
        path = self.path + key
        primary = collection.with_options(read_preference=ReadPreference.PRIMARY)
        raw = primary.find_one({"_id": self.key}, {path: 1})
        if raw is None:
            raise stale.error(
                root or self.model,
                self.key,
                f"is not in the collection any more, so that {path}, which wasn't loaded, can't "
                "be read",
            )
        for part in path.split("."):
            raw = raw.get(part) if isinstance(raw, dict) else None
        return raw


def _root(document: Any) -> Origin | None:
    if not document._is_document or document.pk is None:
        return None
    return Origin(document)


# Loading


class Partial:
    """For a document before MongoEngine's: a copy knows what it lacks, also in another process."""

    def __getstate__(self) -> Any:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        projection = projection_in(self)
        return state if projection is None else {**state, _PROJECTION: projection}

    def __setstate__(self, state: dict[str, Any]) -> None:
        projection = state.pop(_PROJECTION, None)
        super().__setstate__(state)  # type: ignore[misc]
        if projection is not None:
            settling(projection)(self)


class PartialReads:
    """For a queryset before MongoEngine's: documents loaded in part know it."""

    _document: Any
    _loaded_fields: Any
    _as_pymongo: bool
    _collection: Any
    _scalar: Any

    def _settling(self) -> Callable[[Any], Any] | None:
        if self._as_pymongo or self._scalar:
            return None
        at_home = settling_in(self._collection)
        if not self._loaded_fields or not issubclass(self._document, Partial):
            return at_home  # MongoEngine's own stays as it is
        in_part = settling(projection_of(self._loaded_fields.as_dict()))
        return in_part if at_home is None else _both(at_home, in_part)

    def _settled(self, found: Any) -> Any:
        settle = self._settling()
        if settle is not None and isinstance(found, BaseDocument):
            settle(found)
        return found

    def fields(self, *args: Any, **kwargs: Any) -> Any:
        """Like MongoEngine's, which ``only()`` and ``exclude()`` call. The version that a document
        was loaded with is a part of all that is loaded of it."""
        queryset = super().fields(*args, **kwargs)  # type: ignore[misc]
        key, chosen = getattr(self._document, "_version_key", None), queryset._loaded_fields
        if key is not None and projection_of(chosen.as_dict()).of(key) is False:
            chosen.fields = chosen.fields | {key} if chosen.value else chosen.fields - {key}
        return queryset

    def __next__(self) -> Any:
        return self._settled(super().__next__())  # type: ignore[misc]

    def __getitem__(self, key: Any) -> Any:
        return self._settled(super().__getitem__(key))  # type: ignore[misc]

    def in_bulk(self, *args: Any, **kwargs: Any) -> Any:
        """Like MongoEngine's."""
        found = super().in_bulk(*args, **kwargs)  # type: ignore[misc]
        for document in found.values():
            self._settled(document)
        return found

    def modify(self, *args: Any, **kwargs: Any) -> Any:
        """Like MongoEngine's."""
        return self._settled(super().modify(*args, **kwargs))  # type: ignore[misc]


def _both(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def settle(document: Any) -> None:
        first(document)
        second(document)

    return settle


plain_next.add(PartialReads.__next__)


def settling(projection: Projection) -> Callable[[Any], None]:
    """The function that lets a document know, which was just read, what was loaded of it."""
    known: dict[Any, Part] = {}

    def settle(document: Any) -> None:
        model = type(document)
        part = known.get(model)
        if part is None:
            let_fetch(model)
            # Without its key a document has nowhere to fetch it from.
            absent = projection.absent_in(model) - {model._meta.get("id_field")}
            part = known[model] = Part(projection, absent, None)
        if isinstance(document._data, dict):  # not of a STRICT class
            _settle(document, part)

    return settle


def _settle(document: Any, part: Part) -> None:
    data = document._data
    if type(data) is PartialData:
        return
    if type(data) is LazyData:
        data.__class__ = PartialData
    else:
        data = PartialData(data)
        data.pending, data.converters = {}, _NO_CONVERTERS
        slots.data(document, data)
    data.document = weakref.ref(document)
    data.loaded = part
    for name in part.absent:
        dict.pop(data, name, None)
    if part.projection.parts:
        _settle_inside(document, data, part)


def _settle_inside(document: Any, data: PartialData, part: Part) -> None:
    converters = dict(data.converters)
    for key, inner in part.projection.parts.items():
        name = document._reverse_db_field_map.get(key, key)
        settle = partial(_settle_value, inner, part, key)
        if name in converters:
            converters[name] = partial(_settled_later, converters[name], settle)
        if dict.__contains__(data, name):
            settle(document, dict.__getitem__(data, name))
    data.converters = Converters(data.converters.class_name, converters)


def _settled_later(convert: Any, settle: Any, document: Any, raw: Any) -> Any:
    value = convert(document, raw)
    settle(document, value)
    return value


def _settle_value(inner: Projection, part: Part, key: str, document: Any, value: Any) -> None:
    origin = part.origin or (None if document is None else _root(document))
    _settle_any(inner, value, origin and origin.within(key))


def _settle_any(projection: Projection, value: Any, origin: Origin | None) -> None:
    """Let what a field holds know; an item of a list has no origin, as others may move it."""
    global some_are_parts  # noqa: PLW0603 # never taken back
    if isinstance(value, Partial):
        if projection.inner or not projection.others:
            some_are_parts = True
            let_fetch(type(value))
            _settle(value, Part(projection, projection.absent_in(type(value)), origin))
    elif isinstance(value, list):
        for item in list.__iter__(value):
            _settle_any(projection, item, None)
    elif isinstance(value, dict):
        for key, item in dict.items(value):
            inner = projection.of(key)
            if isinstance(inner, Projection):
                _settle_any(inner, item, origin and origin.within(key))


def note_loaded(document: Any, names: Sequence[str] = ()) -> None:
    """Note that all of ``document``, or of the fields called ``names``, was loaded now."""
    before = document._data
    if type(before) is not PartialData:
        return
    if not names:
        slots.data(document, before.copy())
        return
    part, projection = before.loaded, before.loaded.projection
    for name in names:
        field = document._fields.get(name)
        projection = projection.with_all_of(field.db_field if field else name)
    # New ones: a rollback puts the old ones back.
    data = PartialData(before.copy())
    data.pending, data.converters, data.document = {}, before.converters, before.document
    data.loaded = Part(projection, part.absent, part.origin)
    slots.data(document, data)


def projection_in(document: Any) -> Projection | None:
    """What was loaded of ``document``, or ``None`` for all."""
    data = document._data
    return data.loaded.projection if type(data) is PartialData else None
