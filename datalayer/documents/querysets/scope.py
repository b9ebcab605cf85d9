"""What an operation on a queryset concerns: exactly the documents that iterating it shows.

Pure: says which filter and options the server needs for that, and what no filter can say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import Code, Decimal128, ObjectId
from mongoengine.errors import OperationError
from pymongo.collection import Collection

NO_DOCUMENT: Mapping[str, Any] = {"_id": {"$in": []}}  # a filter that the server needs no look for

# The server finds the documents of a text search in an order that changes from one search to the
# next: what a limit leaves would be others each time.
BY_KEY = [("_id", 1)]

# Values that a collation compares as they are.
_EXACT = frozenset({ObjectId, int, float, datetime, UUID, Decimal128, bytes, bool})
_NOT_IN_PIPELINES = frozenset({"$where", "$near", "$nearSphere"})


@dataclass(frozen=True, slots=True)
class Scope:
    """All of a queryset that decides which documents it shows, as the server's terms."""

    filter: dict[str, Any]
    """The conditions, a ``$where`` among them."""

    sort: list[tuple[str, Any]]
    skip: int
    limit: int
    """At most so many documents; 0 for all."""

    is_empty: bool
    """No document at all, whatever the conditions."""

    collation: Any
    hint: Any
    comment: Any
    max_time_ms: int | None

    @property
    def is_a_filter(self) -> bool:
        """Whether the filter says all of it, as far as the order doesn't matter."""
        return not self.skip and not self.limit

    @property
    def options(self) -> dict[str, Any]:
        """The options that go with the filter, to writing operations too."""
        return _given(collation=self.collation, hint=self.hint, comment=self.comment)

    @property
    def reading_options(self) -> dict[str, Any]:
        """The options that go with the filter to ``count_documents`` and ``aggregate``."""
        options = {**self.options, **_given(maxTimeMS=self.max_time_ms)}
        if "hint" in options and not isinstance(self.hint, str):
            options["hint"] = dict(_pairs(self.hint))
        return options

    @property
    def first_needs_sort(self) -> bool:
        """Whether it depends on the order which document is the first."""
        return bool(self.sort) and isinstance(self.filter.get("_id", {}), Mapping)

    def among(self, keys: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A filter, and its options, for those of the documents with these keys that still meet
        the conditions."""
        chosen: dict[str, Any] = {"_id": {"$in": list(keys)}}
        if self.collation is not None and not compares_exactly(keys):
            # Under the collation, other documents could have these keys.
            return chosen, _given(comment=self.comment)
        options = _given(collation=self.collation, comment=self.comment)
        return ({"$and": [chosen, self.filter]} if self.filter else chosen), options


def scope_of(queryset: Any) -> Scope:
    """The scope of a MongoEngine queryset as it was refined."""
    conditions = queryset._query
    if queryset._where_clause:
        code = Code(queryset._sub_js_fields(queryset._where_clause))
        conditions = {**conditions, "$where": code}
    ordering = queryset._ordering
    if ordering is None and (default := queryset._document._meta["ordering"]):
        ordering = queryset._get_order_by(default)
    if not ordering and queryset._search_text and (queryset._limit or queryset._skip):
        ordering = BY_KEY
    # In memory (mongomock) they decide nothing, and writing operations don't take them.
    is_on_server = isinstance(queryset._collection, Collection)
    return Scope(
        filter=conditions,
        sort=_pairs(ordering) if ordering else [],
        skip=queryset._skip or 0,
        limit=abs(queryset._limit or 0),  # the driver reads a negative one as "in one batch"
        is_empty=queryset._none or queryset._empty,
        collation=queryset._collation,
        hint=queryset._hint if queryset._hint != -1 and is_on_server else None,
        comment=queryset._comment if is_on_server else None,
        max_time_ms=queryset._max_time_ms,
    )


def check_upsert(scope: Scope, call: str, *, of_one: bool) -> None:
    """Refuse an upsert where the conditions to insert can't be put into a filter.

    Raises:
        OperationError: names the call and the refinements that are in its way.
    """
    hindrances = {
        "none() or an empty slice": scope.is_empty,
        "skip()": scope.skip,
        "limit()": scope.limit and not of_one,
        "where()": "$where" in scope.filter,
    }
    found = " and ".join(name for name, is_set in hindrances.items() if is_set)
    if found:
        raise OperationError(
            f"{call} can't insert a document together with {found}: whether there is one, the "
            "server decides by a filter alone; nothing was sent"
        )


def matches_in_pipelines(condition: Any) -> bool:
    """Whether the server takes ``condition`` in a ``$match``, and so in a count."""
    if isinstance(condition, Mapping):
        return all(
            name not in _NOT_IN_PIPELINES
            and (not _holds_conditions(name, inner) or matches_in_pipelines(inner))
            for name, inner in condition.items()
        )
    return all(matches_in_pipelines(each) for each in condition)


def _holds_conditions(name: str, inner: Any) -> bool:
    return isinstance(inner, Mapping) or name in ("$and", "$or", "$nor")


def compares_exactly(keys: Sequence[Any]) -> bool:
    """Whether these keys are equal to no others under any collation."""
    return all(type(key) in _EXACT for key in keys)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _pairs(keys: Any) -> list[tuple[str, Any]]:
    """An ordering or the keys of an index, in any form that the driver takes."""
    if isinstance(keys, str):
        return [(keys, 1)]
    if isinstance(keys, Mapping):
        return list(keys.items())
    return [(key, 1) if isinstance(key, str) else (key[0], key[1]) for key in keys]
