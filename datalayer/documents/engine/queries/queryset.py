"""The parts of querysets through which every document passes, without their detours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from types import NoneType
from typing import Any

from bson import ObjectId
from mongoengine.errors import InvalidQueryError
from mongoengine.queryset.base import BaseQuerySet
from mongoengine.queryset.field_list import QueryFieldList
from mongoengine.queryset.visitor import Q
from pymongo.read_concern import ReadConcern

from datalayer.documents.engine.mongoengine_internals import stock
from datalayer.documents.engine.queries.queryset_cursor import asks_plainly, plain_query
from datalayer.documents.engine.queries.reading import documents, is_plain

# What one queryset takes over from another; in each of MongoEngine's querysets.
_KEPT = (
    "_allow_disk_use",
    "_as_pymongo",
    "_batch_size",
    "_cls_query",
    "_collation",
    "_comment",
    "_empty",
    "_hint",
    "_iter",
    "_limit",
    "_loaded_fields",
    "_max_time_ms",
    "_mongo_query",
    "_none",
    "_ordering",
    "_query_obj",
    "_read_concern",
    "_read_preference",
    "_scalar",
    "_search_text",
    "_search_text_score",
    "_skip",
    "_snapshot",
    "_timeout",
    "_where_clause",
    "_BaseQuerySet__auto_dereference",
)
# Copies of these are the same; of a Q nobody changes the inside.
_UNCHANGING = frozenset({NoneType, bool, int, str, float, datetime, ObjectId, Q, ReadConcern})
_CHANGEABLE = (
    "_cls_query",
    "_collation",
    "_hint",
    "_loaded_fields",
    "_mongo_query",
    "_ordering",
    "_query_obj",
    "_read_preference",
    "_scalar",
    "_where_clause",
)
_COPYING: dict[type, Callable[[Any], Any]] = {dict: dict.copy, list: list.copy}
_AT_ONCE = 100  # as many as MongoEngine's caching queryset reads in one go


def _copy(value: Any) -> Any:
    return _COPYING.get(type(value), copy.copy)(value)


def _copy_of_fields(fields: QueryFieldList) -> QueryFieldList:
    other = object.__new__(QueryFieldList)
    other.__dict__ = fields.__dict__.copy()
    return other


_COPYING[QueryFieldList] = _copy_of_fields


class FastQueries:
    """For a class before MongoEngine's ``BaseQuerySet``."""

    def _clone_into(self, new_qs: Any) -> Any:
        mine = self.__dict__
        if not isinstance(new_qs, BaseQuerySet) or not mine.keys() >= _KEPT_SET:
            return stock.clone_into(self, new_qs)
        for name in _KEPT:
            value = mine[name]
            new_qs.__dict__[name] = value if type(value) in _UNCHANGING else _copy(value)
        if mine["_cursor_obj"]:
            self._pass_cursor(new_qs)
        return new_qs

    def clone(self) -> Any:
        """A queryset like this one, to be refined."""
        mine = self.__dict__
        if len(mine) != _FRESH or type(self).__init__ is not stock.queryset_init:
            return stock.clone(self)
        other: Any = object.__new__(type(self))
        state = other.__dict__ = mine.copy()
        state["_BaseQuerySet__dereference"] = False  # it holds what it has found
        for name in _CHANGEABLE:
            value = state[name]
            if value is not None and (kind := type(value)) not in _UNCHANGING:
                state[name] = _COPYING.get(kind, copy.copy)(value)
        if mine["_cursor_obj"]:
            self._pass_cursor(other)
        return other

    def _pass_cursor(self, other: Any) -> None:
        other._cursor_obj = self.__dict__["_cursor_obj"].clone()

    def _settling(self) -> Callable[[Any], Any] | None:
        """What is to be done with each document that was read, if anything is."""
        return None

    @property
    def _query(self) -> Any:
        queryset: Any = self
        if queryset._mongo_query is None and not queryset._cls_query:
            queryset._mongo_query = plain_query(queryset._document, queryset._query_obj)
        return stock.query.__get__(queryset)

    @property
    def _cursor(self) -> Any:
        queryset: Any = self
        if queryset._cursor_obj is None and asks_plainly(queryset):
            queryset._cursor_obj = queryset._collection.find(queryset._query)
        return stock.cursor.__get__(queryset)

    def first(self) -> Any:
        """The first document that matches; ``None`` if there is none."""
        queryset: Any = self
        if queryset._none or queryset._empty:
            return None
        if queryset._cursor_obj is not None or not is_plain(queryset):
            return stock.first(queryset)
        return next(_in_one_batch(queryset, 1), None)

    def get(self, *q_objs: Any, **query: Any) -> Any:
        """The one document that matches.

        Raises:
            DoesNotExist: the model's, where there is none.
            MultipleObjectsReturned: the model's, where there are several.
        """
        refined: Any = self.filter(*q_objs, **query)  # type: ignore[attr-defined]
        found = first_two(refined)
        if found is None:
            return stock.get(self, *q_objs, **query)
        return only_one(refined._document, found)

    def with_id(self, object_id: Any) -> Any:
        """The document with this id; ``None`` if there is none.

        Raises:
            InvalidQueryError: for a queryset with a filter.
        """
        queryset: Any = self
        if queryset._query_obj:
            raise InvalidQueryError("Cannot use a filter whilst using `with_id`")
        return queryset.filter(pk=object_id).first()


def first_two(queryset: Any) -> list[Any] | None:
    """The first documents that iterating over ``queryset`` shows, two at most; ``None`` where
    it says more of how to read than a filter."""
    if queryset._none or queryset._empty or not is_plain(queryset) or not asks_plainly(queryset):
        return None
    return list(_in_one_batch(queryset, 2))


def only_one(model: Any, found: list[Any]) -> Any:
    """The document in ``found``.

    Raises:
        DoesNotExist: the model's, where there is none.
        MultipleObjectsReturned: the model's, where there are several.
    """
    if not found:
        raise model.DoesNotExist(f"{model._class_name} matching query does not exist.")
    if len(found) > 1:
        raise model.MultipleObjectsReturned("2 or more items returned, instead of 1")
    return found[0]


def _in_one_batch(queryset: Any, most: int) -> Iterator[Any]:
    """The first documents of ``queryset``, at most so many, for which the server keeps no
    cursor: read with a cursor of its own, which is not kept."""
    once = object.__new__(type(queryset))
    once.__dict__ = queryset.__dict__.copy()
    once._cursor.limit(-most)
    return documents(once)


_KEPT_SET = frozenset(_KEPT)
# What a queryset has that was not iterated over, and that no subclass has added to.
_FRESH = len(_KEPT) + len(("_document", "_collection_obj", "_cursor_obj")) + 1


class FastCachingQueries(FastQueries):
    """For a class before MongoEngine's ``QuerySet``."""

    def _populate_cache(self) -> None:
        queryset: Any = self
        if not is_plain(queryset):
            stock.populate_cache(queryset)
            return
        if queryset._result_cache is None:
            queryset._result_cache = []
        if queryset._has_more:
            before = len(queryset._result_cache)
            queryset._result_cache.extend(islice(documents(queryset), _AT_ONCE))
            queryset._has_more = len(queryset._result_cache) - before == _AT_ONCE


class FastPassingQueries(FastQueries):
    """For a class before MongoEngine's ``QuerySetNoCache``."""

    def __iter__(self) -> Iterator[Any]:
        queryset: Any = stock.iterate_passing(self)
        return documents(queryset) if is_plain(queryset) else iter(queryset)
