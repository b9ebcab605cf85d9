"""Numbered pages: of a queryset, of any sequence, and of a list field of one document, which is
not read as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Self, TypeVar

from mongoengine.base import BaseDocument
from mongoengine.errors import OperationError, ValidationError
from mongoengine.queryset.base import BaseQuerySet

from datalayer.documents.fields.conversion import key_of
from datalayer.documents.querysets.pages.not_found import not_found
from datalayer.documents.querysets.pages.request_numbers import PER_PAGE, number_of, per_page_of

Item = TypeVar("Item")

_INT32 = 2**31 - 1


class Pagination(Generic[Item]):
    """One page of a queryset or a sequence, and what links to the others need.

    Arguments:
        iterable: what has the pages. A queryset with a limit or a ``skip()`` has the pages of
            what it shows.
        page: which page, beginning with 1; text as a request has it will do.
        per_page: items of a page.
        error_out: answer 404 for a page that isn't there. Otherwise one before the first is the
            first, one after the last has no items, and so many as ``per_page`` can't be are 20.
        max_per_page: more than so many items are not shown at once, whatever ``per_page`` says.
        total: how many items all pages have, where the caller knows: nothing is counted then.

    Attributes:
        items: those of this page, as a list.
        page, per_page: as above.
        total: items of all pages, as ``count()`` gives it.

    Raises:
        NotFound: Werkzeug's, with ``error_out``: for a page that is no number, before the first
            or after the last. The first is there even when it is empty.
    """

    items: list[Item]
    page: int
    per_page: int
    total: int

    def __init__(
        self,
        iterable: Any,
        page: int | str = 1,
        per_page: int | str = PER_PAGE,
        *,
        error_out: bool = True,
        max_per_page: int | None = None,
        total: int | None = None,
    ) -> None:
        self.iterable = iterable
        self.page = number_of(page, 1, error_out)
        self.per_page = per_page_of(per_page, max_per_page, error_out)
        counted = _count(iterable) if total is None else total
        self._take(*self._read(counted), error_out)

    def _read(self, total: int) -> tuple[list[Item], int]:
        start = (self.page - 1) * self.per_page
        size = min(self.per_page, total - start)
        return (_part(self.iterable, start, size) if size > 0 else []), total

    def _take(self, items: list[Item], total: int, error_out: bool) -> None:
        if error_out and not items and self.page != 1:
            raise not_found()
        self.items, self.total = items, total

    def _at(self, page: int, error_out: bool) -> Self:
        return type(self)(self.iterable, page, self.per_page, error_out=error_out)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @property
    def pages(self) -> int:
        """How many pages there are; 0 without items."""
        return -(-self.total // self.per_page)

    @property
    def has_prev(self) -> bool:
        """Whether there is a page before this one."""
        return self.page > 1

    @property
    def prev_num(self) -> int:
        """The number before this page's, whether or not there is such a page."""
        return self.page - 1

    @property
    def has_next(self) -> bool:
        """Whether there is a page after this one."""
        return self.page < self.pages

    @property
    def next_num(self) -> int:
        """The number after this page's, whether or not there is such a page."""
        return self.page + 1

    def prev(self, error_out: bool = True) -> Self:
        """The page before this one, read and counted now."""
        return self._at(self.prev_num, error_out)

    def next(self, error_out: bool = True) -> Self:
        """The page after this one, read and counted now."""
        return self._at(self.next_num, error_out)

    def iter_pages(
        self,
        left_edge: int = 2,
        left_current: int = 2,
        right_current: int = 5,
        right_edge: int = 2,
    ) -> Iterator[int | None]:
        """The page numbers to link: so many at both edges, and around the present one; ``None``
        where some are left out."""
        last = self.pages
        shown = {
            *range(1, min(left_edge, last) + 1),
            *range(max(self.page - left_current, 1), min(self.page + right_current, last) + 1),
            *range(max(last - right_edge, 0) + 1, last + 1),
        }
        before = 0
        for number in sorted(shown):
            if number != before + 1:
                yield None
            yield number
            before = number
        if before != last:
            yield None


class ListFieldPagination(Pagination[Any]):
    """One page of a list field of the document with the key ``doc_id``, if ``queryset`` has it.

    The server sends the page and how long the list is, not the list. ``total`` stands for that
    length, where it is given. ``field_name`` is an attribute's, or a path of them with dots.

    Raises:
        NotFound: Werkzeug's, for a document or a page that isn't there.
        OperationError: for a field that holds no list.
    """

    def __init__(
        self,
        queryset: Any,
        doc_id: Any,
        field_name: str,
        page: int | str,
        per_page: int | str,
        total: int | None = None,
        *,
        error_out: bool = True,
    ) -> None:
        self.queryset, self.doc_id, self.field_name = queryset, doc_id, field_name
        self.page = number_of(page, 1, error_out)
        self.per_page = per_page_of(per_page, None, error_out)
        self._given = total
        items, counted = self._read(0)
        self._take(items, total or counted, error_out)

    def _read(self, total: int) -> tuple[list[Any], int]:
        path = self.queryset._fields_to_dbfields([self.field_name]).pop()
        start, size = min((self.page - 1) * self.per_page, _INT32), min(self.per_page, _INT32)
        content = {"$ifNull": [f"${path}", []]}
        is_list = {"$isArray": content}
        part = {"$cond": [is_list, {"$slice": [content, start, size]}, None]}
        length = {"$cond": [is_list, {"$size": content}, 0]}
        found = list(
            _with_key(self.queryset, self.doc_id).aggregate(
                [{"$project": {"_cls": 1, "part": part, "length": length}}]
            )
        )
        if not found:
            raise not_found()
        raw = found[0]
        if raw["part"] is None:
            raise OperationError(f"{self.field_name} of this document is no list to have pages of")
        return _values(self.queryset, self.field_name, path, raw), raw["length"]

    def _at(self, page: int, error_out: bool) -> Self:
        return type(self)(
            self.queryset,
            self.doc_id,
            self.field_name,
            page,
            self.per_page,
            self._given,
            error_out=error_out,
        )


def _count(iterable: Any) -> int:
    if not isinstance(iterable, BaseQuerySet):
        return len(iterable)
    is_part = bool(iterable._limit or iterable._skip)
    return int(iterable.clone().count(with_limit_and_skip=is_part))


def _part(iterable: Any, start: int, size: int) -> list[Any]:
    if not isinstance(iterable, BaseQuerySet):
        return list(iterable[start : start + size])
    part = iterable.skip((iterable._skip or 0) + start).limit(size)
    return with_references(part)


def with_references(queryset: Any) -> list[Any]:
    """The documents of ``queryset``, and what they refer to, with one query for each collection
    rather than one for each document."""
    shows_documents = not queryset._as_pymongo and not queryset._scalar
    if shows_documents and queryset._auto_dereference:
        return list(queryset.select_related())
    return list(queryset)


def _with_key(queryset: Any, key: Any) -> Any:
    try:
        return queryset.filter(pk=key_of(queryset._document, key))
    except ValidationError:
        raise not_found() from None  # no document can have it


def _values(queryset: Any, name: str, path: str, raw: dict[str, Any]) -> list[Any]:
    """What the attribute called ``name`` of a document has, of which this part was read."""
    stored: Any = raw["part"]
    if queryset._as_pymongo:
        return list(stored)
    for key in reversed(path.split(".")):
        stored = {key: stored}
    stored = {"_id": raw["_id"], **({"_cls": raw["_cls"]} if "_cls" in raw else {}), **stored}
    value: Any = queryset._document._from_son(stored, _auto_dereference=queryset._auto_dereference)
    for attribute in name.split("."):
        value = getattr(value, attribute) if isinstance(value, BaseDocument) else value[attribute]
    return list(value)
