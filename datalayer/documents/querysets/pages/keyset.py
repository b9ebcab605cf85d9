"""Pages by key: each begins after the last document of the one before, which an index finds at
once, however many documents come before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bson import MinKey
from mongoengine.errors import OperationError
from mongoengine.queryset.field_list import QueryFieldList

from datalayer.documents.querysets.pages.cursor import Place, from_text, to_text
from datalayer.documents.querysets.scope import scope_of

Item = TypeVar("Item")
SecretKey = str | bytes | None


@dataclass(frozen=True)
class CursorPagination(Generic[Item]):
    """One page by key, and the cursors of those beside it."""

    items: list[Item]

    per_page: int
    """At most so many items."""

    next: str | None
    """The cursor of the page after this one; ``None`` on the last."""

    previous: str | None
    """The cursor of the page before this one; ``None`` on the first."""

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @property
    def has_next(self) -> bool:
        """Whether there is a page after this one."""
        return self.next is not None

    @property
    def has_prev(self) -> bool:
        """Whether there is a page before this one."""
        return self.previous is not None


@dataclass(frozen=True, slots=True)
class Order:
    """What documents are sorted by, up to their ``_id``, which no two share."""

    keys: tuple[tuple[str, int], ...]
    """Paths as they are stored, with 1 or -1."""

    name: bytes
    """Tells it from other orders, and those of other collections."""

    @property
    def reversed(self) -> Order:
        """The opposite order."""
        return Order(tuple((path, -direction) for path, direction in self.keys), self.name)

    def beyond(self, values: Sequence[Any]) -> dict[str, Any]:
        """The condition for what comes after the document that has these values."""
        places = [(*key, value) for key, value in zip(self.keys, values, strict=True)]
        branches = [
            {"$and": [*({path: {"$eq": tie}} for path, _, tie in places[:depth]), _beyond(*place)]}
            for depth, place in enumerate(places)
        ]
        if len(branches) == 1:
            return branches[0]
        # The first condition bounds the index scan, whatever index is chosen for the others.
        return {"$and": [_beyond(*places[0], with_ties=True), {"$or": branches}]}

    def values_of(self, raw: Any) -> tuple[Any, ...]:
        """What a document, as it is stored, is sorted by.

        Raises:
            OperationError: for a list, by one item of which it is sorted.
        """
        return tuple(_value_at(raw, path) for path, _ in self.keys)


def order_of(queryset: Any) -> Order:
    """The order of ``queryset``, with ``_id`` after all else.

    Raises:
        OperationError: for one by a secret field, which a cursor would show, and for one that
            only the server knows, by a text's score.
    """
    keys: list[tuple[str, int]] = []
    for path, direction in scope_of(queryset).sort:
        if direction not in (1, -1):
            raise OperationError(
                f"pages by key need an order by fields, which {path} isn't one of"
            )
        if _is_secret(queryset._document, path):
            raise OperationError(
                f"pages by key can't be ordered by {path}, which is secret: a cursor holds the "
                "values that documents are ordered by"
            )
        keys.append((path, direction))
        if path == "_id":
            break
    else:
        keys.append(("_id", keys[-1][1] if keys else 1))
    told = (queryset._collection.name, keys, str(queryset._collation))
    return Order(tuple(keys), hashlib.blake2s(repr(told).encode(), digest_size=6).digest())


def after(queryset: Any, cursor: str | None) -> Any:
    """``queryset`` in its order, without what comes before ``cursor``; all with ``None``.

    Raises:
        ValidationError: for what is no cursor of this order.
        OperationError: for an order in which there are none.
    """
    order = order_of(queryset)
    place = None if cursor is None else _place(cursor, order, None)
    return _from(queryset, order, place)


def cursor_after(queryset: Any, values: Sequence[Any]) -> str:
    """The cursor, for ``after``, of the document that has these values of the order's keys."""
    return to_text(Place(order_of(queryset).name, tuple(values)), None)


def page_of(
    queryset: Any, cursor: str | None, per_page: int, secret_key: SecretKey
) -> CursorPagination[Any]:
    """The page that ``cursor`` names, or the first; see ``QuerySet.paginate_after``."""
    if queryset._limit or queryset._skip:
        raise OperationError(
            "pages by key are those of a queryset without limit(), skip() and slices: per_page "
            "says how many documents a page has"
        )
    order = order_of(queryset)
    place = _place(cursor, order, secret_key) if cursor else None
    backwards = place is not None and place.backwards
    reader = _from(queryset, order, place)
    reader._loaded_fields = _with_keys(reader._loaded_fields, order)
    raws = [] if scope_of(reader).is_empty else list(reader.limit(per_page + 1)._cursor)
    places = [order.values_of(raw) for raw in raws]
    has_more = len(raws) > per_page
    del raws[per_page:], places[per_page:]
    if backwards:
        raws.reverse()
        places.reverse()
    before = following = None
    if places and (has_more if backwards else place is not None):
        before = to_text(Place(order.name, places[0], backwards=True), secret_key)
    if places and (backwards or has_more):
        following = to_text(Place(order.name, places[-1]), secret_key)
    return CursorPagination(_shown(reader, raws), per_page, following, before)


def _place(cursor: str, order: Order, secret_key: SecretKey) -> Place:
    return from_text(cursor, order.name, len(order.keys), secret_key)


def _from(queryset: Any, order: Order, place: Place | None) -> Any:
    found = queryset.clone()
    if place is not None:
        order = order.reversed if place.backwards else order
        found = queryset.filter(__raw__=order.beyond(place.values))
    found._ordering = list(order.keys)
    return found


def _shown(reader: Any, raws: list[Any]) -> list[Any]:
    items = [reader._settled(reader._as_shown(raw)) for raw in raws]
    if items and not reader._as_pymongo and not reader._scalar and reader._auto_dereference:
        reader._dereference(items, max_depth=2)
    return items


def _with_keys(chosen: QueryFieldList, order: Order) -> QueryFieldList:
    """The fields to load: those that were chosen, and the keys of the order."""
    if not chosen:
        return chosen
    paths = {path for path, _ in order.keys}
    kept = {f for f in chosen.fields if not any(_is_within(f, path) for path in paths)}
    loaded = QueryFieldList(kept, chosen.value, chosen.always_include, chosen._only_called)
    loaded.slice, loaded._id = chosen.slice, None
    if chosen.value == QueryFieldList.ONLY:
        loaded.fields |= {path for path in paths if not any(_is_within(path, f) for f in kept)}
    else:
        loaded.fields = {f for f in kept if not any(_is_within(path, f) for path in paths)}
    return loaded


def _is_within(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")


def _beyond(path: str, direction: int, value: Any, *, with_ties: bool = False) -> dict[str, Any]:
    """What has a greater (with -1, a smaller) value at ``path``, as sorting compares: values of
    all kinds, and none as null."""
    if value is None and direction < 0:
        # Below null there is but one; comparing would find what has no value there too.
        return {path: {"$in": [None, MinKey()]}} if with_ties else {path: {"$type": "minKey"}}
    operator = ("$gt" if direction > 0 else "$lt") + ("e" if with_ties else "")
    if value is None and with_ties:
        return {}
    # Outside of $expr, the operators compare with values of the same kind only.
    return {"$expr": {operator: [f"${path}", {"$literal": value}]}}


def _value_at(raw: Any, path: str) -> Any:
    for part in path.split("."):
        raw = raw.get(part) if isinstance(raw, dict) else None
        if isinstance(raw, list):
            raise OperationError(
                f"pages by key can't be ordered by {path}, which is a list, or in one, in a "
                "document: sorting would go by one of its items"
            )
    return raw


def _is_secret(model: Any, path: str) -> bool:
    for part in path.split("."):
        if model is None:
            return False
        field = model._fields.get(model._reverse_db_field_map.get(part, part))
        if getattr(field, "secret", False):
            return True
        model = getattr(field, "document_type", None)
    return False
