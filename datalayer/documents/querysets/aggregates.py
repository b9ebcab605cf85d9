"""What querysets ask besides their documents: counts, sums, distinct values, aggregations. They
concern exactly the documents that iterating shows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import Any

from bson import Decimal128
from mongoengine.errors import OperationError
from mongoengine.fields import ListField, PointField

from datalayer.documents.engine import first_two, only_one, shown
from datalayer.documents.fields.primary_keys import stored_keys
from datalayer.documents.model_collection import time_limit
from datalayer.documents.queries.filter_translation import as_documents_have
from datalayer.documents.querysets.matched_keys import encoded, keys_in_one, keys_of
from datalayer.documents.querysets.near import countable
from datalayer.documents.querysets.scope import NO_DOCUMENT, Scope, matches_in_pipelines, scope_of
from datalayer.documents.related.references import follows_references


class Aggregates:
    """For a class before MongoEngine's ``BaseQuerySet``."""

    _document: Any
    _collection: Any
    clone: Any

    def get(self, *q_objs: Any, **query: Any) -> Any:
        """The one document that iterating shows.

        Raises:
            DoesNotExist: the model's, where there is none.
            MultipleObjectsReturned: the model's, where there are several.
        """
        queryset: Any = self.filter(*q_objs, **query)  # type: ignore[attr-defined]
        found = first_two(queryset)
        if found is not None:
            return only_one(self._document, found)
        if not queryset._limit and not queryset._skip:
            queryset._ordering = []  # whichever comes first
        queryset._limit = min(2, abs(queryset._limit or 2))
        return only_one(self._document, list(islice(shown(queryset), 2)))

    def count(self, with_limit_and_skip: bool = False) -> int:
        """How many documents match, as the server counts them now.

        ``limit()``, ``skip()`` and slices are left out, as in MongoEngine, so that a page can
        say of how many it is a part; with ``with_limit_and_skip=True`` it is how many iterating
        shows.
        """
        queryset: Any = self
        scope = scope_of(queryset)
        if scope.is_empty:
            return 0
        if with_limit_and_skip and getattr(queryset, "_has_more", True) is False:
            return len(queryset._result_cache)
        conditions = scope.filter
        if not matches_in_pipelines(conditions):
            conditions = countable(conditions, _paths_of_points(self._document))
        if not matches_in_pipelines(conditions):
            counted = queryset.clone()
            if not with_limit_and_skip:
                counted._limit = counted._skip = None
            return len(keys_of(counted))
        options = scope.reading_options
        if with_limit_and_skip:
            options |= {"limit": scope.limit} if scope.limit else {}
            options |= {"skip": scope.skip} if scope.skip else {}
        collection = self._reading()
        with _time_limit_of(scope):
            if not conditions and options.keys() <= {"maxTimeMS", "comment"}:
                return int(collection.estimated_document_count(**options))
            return int(collection.count_documents(conditions, **options))

    def aggregate(self, pipeline: Any, *suppl_pipeline: Any, **kwargs: Any) -> Any:
        """Run ``pipeline`` on the documents that iterating shows, in the order of ``order_by``.

        ``kwargs`` are those of the driver's ``aggregate``; they go before what the queryset
        says.

        Raises:
            OperationError: where ``where()`` or a search near a point chooses more documents
                than one command can name.
        """
        if isinstance(pipeline, dict) or suppl_pipeline:
            warnings.warn("aggregate() takes one list of stages", DeprecationWarning, stacklevel=2)
        stages = [pipeline] if isinstance(pipeline, dict) else list(pipeline)
        return self._aggregated([*stages, *suppl_pipeline], "aggregate()", **kwargs)

    def sum(self, field: str) -> Any:
        """The sum of a field's values; of a list, of what is in it; of money a ``Decimal``."""
        return self._total(field, "$sum", "sum()")

    def average(self, field: str) -> Any:
        """The average of a field's values, as ``sum`` takes them."""
        return self._total(field, "$avg", "average()")

    def distinct(self, field: str) -> Any:
        """The different values of a field in the documents shown, as documents have them."""
        queryset: Any = self
        scope = scope_of(queryset)
        if scope.is_empty:
            return []
        if not scope.is_a_filter or scope.hint is not None:
            queryset = self._by_filter(scope.among(keys_in_one(self, "distinct()"))[0])
        with _time_limit_of(scope):
            found = super(Aggregates, queryset).distinct(field)  # type: ignore[misc]
        return as_documents_have(self._document, field, found)

    def map_reduce(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Like MongoEngine's, over the documents that iterating shows.

        Raises:
            OperationError: for a queryset on another database than the model's.
        """
        queryset: Any = self
        scope = scope_of(queryset)
        if scope.is_empty:
            return iter(())
        if self._collection != self._document._get_collection():
            raise OperationError("map_reduce() works in the model's own database; see aggregate()")
        is_plain = scope.is_a_filter and scope.hint is None and scope.collation is None
        if not is_plain or not matches_in_pipelines(scope.filter):
            queryset = self._by_keys("map_reduce()")
        return super(Aggregates, queryset).map_reduce(*args, **kwargs)  # type: ignore[misc, no-any-return]

    def item_frequencies(
        self, field: str, normalize: bool = False, map_reduce: bool = True
    ) -> Any:
        """Like MongoEngine's, over the documents that iterating shows."""
        queryset: Any = self
        if not scope_of(self).is_a_filter:
            queryset = self._by_keys("item_frequencies()")
        queryset = queryset.order_by()  # to sort, MongoEngine writes to a collection
        return super(Aggregates, queryset).item_frequencies(field, normalize, map_reduce)  # type: ignore[misc]

    def in_bulk(self, object_ids: Iterable[Any]) -> dict[Any, Any]:
        """Of the documents that iterating shows, those with these ids, by their ids.

        Ids may have every form that a filter takes.
        """
        keys, known_as = stored_keys(self._document, object_ids)
        return {known_as(raw["_id"]): self._as_shown(raw) for raw in self._shown_with(keys)}

    def _shown_with(self, keys: list[Any]) -> Iterable[dict[str, Any]]:
        """What the database has of the documents shown that have these keys."""
        queryset: Any = self
        scope = scope_of(queryset)
        chosen = queryset.clone()
        if follows_references.get():
            return chosen._collection.find({"_id": {"$in": keys}}, **chosen._cursor_args)  # type: ignore[no-any-return]
        if scope.is_empty:
            return []
        asked = {encoded(key) for key in keys}
        if not scope.is_a_filter:
            keys = [key for key in keys_of(queryset) if encoded(key) in asked]
        chosen._mongo_query = {"_id": {"$in": keys}}
        if queryset._query:
            chosen._mongo_query = {"$and": [chosen._mongo_query, queryset._query]}
        chosen._limit = chosen._skip = None
        chosen._ordering = []
        if scope.collation is None:
            return chosen._cursor  # type: ignore[no-any-return]
        # Under a collation other ids may be equal.
        return [raw for raw in chosen._cursor if encoded(raw["_id"]) in asked]

    def explain(self) -> Any:
        """The server's plan for what iterating would ask it."""
        queryset: Any = self
        if queryset._none or queryset._empty:
            return self._collection.find(dict(NO_DOCUMENT)).explain()
        return queryset.clone()._cursor.explain()

    def _as_shown(self, raw: Any) -> Any:
        queryset: Any = self
        if queryset._as_pymongo:
            return raw
        dereferences = queryset._auto_dereference
        document = self._document._from_son(raw, _auto_dereference=dereferences)
        return queryset._get_scalar(document) if queryset._scalar else document

    def _total(self, field: str, operator: str, call: str) -> Any:
        path = self._fields_to_dbfields([field]).pop()  # type: ignore[attr-defined]
        stages: list[dict[str, Any]] = [{"$group": {"_id": None, "total": {operator: f"${path}"}}}]
        if isinstance(self._document._lookup_field(field.split("."))[-1], ListField):
            stages.insert(0, {"$unwind": f"${path}"})
        found = list(self._aggregated(stages, call, in_order=False))
        total = found[0]["total"] if found else 0
        return total.to_decimal() if isinstance(total, Decimal128) else total

    def _aggregated(
        self,
        stages: Sequence[Mapping[str, Any]],
        call: str,
        *,
        in_order: bool = True,
        **kwargs: Any,
    ) -> Any:
        queryset: Any = self
        scope = scope_of(queryset)
        options = scope.reading_options
        if queryset._batch_size:
            options["batchSize"] = queryset._batch_size
        if queryset._allow_disk_use:
            options["allowDiskUse"] = True
        if in_order and queryset._ordering is None:
            in_order = False  # the model's ordering is one to show documents in
        first = self._stages(scope, call, options, in_order)
        with _time_limit_of(scope):
            return self._reading().aggregate([*first, *stages], **{**options, **kwargs})

    def _stages(
        self, scope: Scope, call: str, options: dict[str, Any], in_order: bool
    ) -> list[dict[str, Any]]:
        """The stages that give the documents shown."""
        if scope.is_empty:
            return [{"$match": dict(NO_DOCUMENT)}]
        conditions = scope.filter
        sorting = [{"$sort": dict(scope.sort)}] if scope.sort else []
        ends = not scope.is_a_filter
        if not matches_in_pipelines(conditions):
            options.pop("hint", None)
            match = {"_id": {"$in": keys_in_one(self, call)}}
            if "$text" in conditions:  # the score that sorts comes from it
                return [{"$match": {"$text": conditions["$text"], **match}}, *sorting]
            return [{"$match": match}, *(sorting if in_order else [])]
        found: list[dict[str, Any]] = [{"$match": conditions}] if conditions else []
        if in_order or ends:
            found += sorting
        if scope.skip:
            found.append({"$skip": scope.skip})
        if scope.limit:
            found.append({"$limit": scope.limit})
        return found

    def _by_filter(self, conditions: dict[str, Any]) -> Any:
        """A queryset with these conditions in place of all that decides what this one shows."""
        other = self.clone()
        other._mongo_query = conditions
        other._where_clause = other._limit = other._skip = other._search_text = None
        other._hint = -1
        return other

    def _by_keys(self, call: str) -> Any:
        """A queryset with the keys of the documents shown as its conditions, for an operation to
        which MongoEngine passes no collation."""
        other = self._by_filter({"_id": {"$in": keys_in_one(self, call)}})
        other._collation = None
        return other

    def _reading(self) -> Any:
        queryset: Any = self
        preference, concern = queryset._read_preference, queryset._read_concern
        if preference is None and concern is None:
            return self._collection
        return self._collection.with_options(read_preference=preference, read_concern=concern)


def _paths_of_points(model: Any) -> frozenset[str]:
    fields = model._fields.values()
    return frozenset(field.db_field for field in fields if isinstance(field, PointField))


def _time_limit_of(scope: Scope) -> AbstractContextManager[None]:
    return nullcontext() if scope.max_time_ms is None else time_limit(scope.max_time_ms)
