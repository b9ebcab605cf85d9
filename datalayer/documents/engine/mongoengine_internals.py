"""All that the engine leans on inside MongoEngine and PyMongo without being promised it, and the
check that the installed versions still have it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import mongoengine
from bson import SON, ObjectId
from mongoengine import signals
from mongoengine.base import BaseDocument, BaseField
from mongoengine.base.fields import ComplexBaseField
from mongoengine.fields import BooleanField, FloatField, IntField, ObjectIdField, StringField
from mongoengine.queryset import QuerySet, QuerySetNoCache
from mongoengine.queryset.base import BaseQuerySet

_LOGGER = logging.getLogger("datalayer.documents.engine")

# The releases whose own test suite was run on the engine.
DOCUMENTED_VERSIONS = ("0.29.",)


# The dynamic fields of a document that has none: one object for all, since nobody adds to it.
EMPTY: Any = SON()


class Stock:
    """MongoEngine's own functions, kept from before anything was replaced."""

    document_init = BaseDocument.__init__
    embedded_init = mongoengine.EmbeddedDocument.__init__
    base_from_son = BaseDocument.__dict__["_from_son"].__func__
    base_to_mongo = BaseDocument.to_mongo
    document_to_mongo = mongoengine.Document.to_mongo
    embedded_to_mongo = mongoengine.EmbeddedDocument.to_mongo
    validate = BaseDocument.validate
    clean = BaseDocument.clean
    get_changed_fields = BaseDocument._get_changed_fields
    clear_changed_fields = BaseDocument._clear_changed_fields
    delta = BaseDocument._delta
    save = mongoengine.Document.save
    save_create = mongoengine.Document._save_create
    save_update = mongoengine.Document._save_update
    get_update_doc = mongoengine.Document._get_update_doc
    set_attribute = BaseDocument.__setattr__
    clone = BaseQuerySet.clone
    clone_into = BaseQuerySet._clone_into
    query = BaseQuerySet._query
    cursor = BaseQuerySet._cursor
    queryset_init = BaseQuerySet.__init__
    first = BaseQuerySet.first
    get = BaseQuerySet.get
    populate_cache = QuerySet._populate_cache
    iterate_passing = QuerySetNoCache.__iter__


stock = Stock


class Slots:
    """Sets a document's slots past ``__setattr__``, which costs ten times as much."""

    data: Callable[[Any, Any], None] = BaseDocument._data.__set__
    changed_fields: Callable[[Any, Any], None] = BaseDocument._changed_fields.__set__
    initialised: Callable[[Any, Any], None] = BaseDocument._initialised.__set__
    created: Callable[[Any, Any], None] = BaseDocument._created.__set__
    dynamic_fields: Callable[[Any, Any], None] = BaseDocument._dynamic_fields.__set__
    instance: Callable[[Any, Any], None] = mongoengine.EmbeddedDocument._instance.__set__


slots = Slots


def display_value(document: Any, field: BaseField) -> Any:
    """What ``document.get_<field>_display()`` returns."""
    return document._BaseDocument__get_field_display(field=field)


def son_of(data: dict[str, Any]) -> SON[str, Any]:
    """``data`` as the ordered mapping that ``to_mongo`` returns, without its slow constructor."""
    son: Any = dict.__new__(SON)
    dict.update(son, data)
    son._SON__keys = list(data)
    return son  # type: ignore[no-any-return] # it has no types inside


class _Unheard:
    """A signal where the library for signals is not installed."""

    receivers: tuple[Any, ...] = ()


pre_init: Any = signals.pre_init if signals.signals_available else _Unheard()
post_init: Any = signals.post_init if signals.signals_available else _Unheard()


def listened_to(model: type) -> bool:
    """Whether somebody wants to hear of each document of ``model`` that is made."""
    return any(
        signal.receivers and signal.has_receivers_for(model) for signal in (pre_init, post_init)
    )


_SIGNATURES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (stock.document_init, ("self", "args", "values")),
    (stock.embedded_init, ("self", "args", "kwargs")),
    (stock.base_from_son, ("cls", "son", "_auto_dereference", "created")),
    (stock.base_to_mongo, ("self", "use_db_field", "fields")),
    (stock.validate, ("self", "clean")),
    (stock.get_changed_fields, ("self",)),
    (stock.clear_changed_fields, ("self",)),
    (stock.delta, ("self",)),
    (stock.save_create, ("self", "doc", "force_insert", "write_concern")),
    (stock.save_update, ("self", "doc", "save_condition", "write_concern")),
    (stock.set_attribute, ("self", "name", "value")),
    (BaseField.__set__, ("self", "instance", "value")),
    (BaseField._validate, ("self", "value", "kwargs")),
    (ComplexBaseField.__set__, ("self", "instance", "value")),
    (stock.clone_into, ("self", "new_qs")),
    (stock.first, ("self",)),
    (stock.get, ("self", "q_objs", "query")),
    (stock.populate_cache, ("self",)),
)


def unsupported_because() -> str | None:
    """Why the engine leaves the installed versions alone; ``None`` where it knows them."""
    version = ".".join(map(str, mongoengine.VERSION))
    if not version.startswith(DOCUMENTED_VERSIONS):
        return f"MongoEngine {version} is not known"
    for function, expected in _SIGNATURES:
        if tuple(inspect.signature(function).parameters) != expected:
            return f"MongoEngine's {function.__qualname__} takes other arguments"
    for name in ("_BaseDocument__get_field_display",):
        if not hasattr(BaseDocument, name):
            return f"MongoEngine's documents lack {name}"
    if son_of({"b": 1, "a": 2}) != SON([("b", 1), ("a", 2)]):
        return "bson.SON is built differently"
    converted = (
        (StringField, "a"),
        (IntField, 1),
        (FloatField, 1.5),
        (BooleanField, True),
        (ObjectIdField, ObjectId()),
    )
    for kind, value in converted:
        if kind().to_python(value) is not value or kind().to_mongo(value) is not value:
            return f"{kind.__name__} changes a value of its own type"
    return None


def is_supported() -> bool:
    """Whether the engine may be used; says once in the log why not."""
    global _supported  # noqa: PLW0603 # found out once per process
    if _supported is None:
        reason = unsupported_because()
        _supported = reason is None
        if reason is not None:
            _LOGGER.warning(
                "documents take MongoEngine's own, slower path: %s",
                reason,
                extra={"event": "engine_off"},
            )
    return _supported


_supported: bool | None = None
