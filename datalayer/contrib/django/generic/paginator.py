"""Django's paginator for querysets of documents: one count for all that a page shows, and one
query for what is on it. Django's own would read every document to count them."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property
from mongoengine.queryset.base import BaseQuerySet

from datalayer.documents.querysets.pages.numbered import with_references


class DocumentPaginator(Paginator):
    """A ``Paginator`` over a queryset, or over a list as before.

    What the documents of a page refer to is read with one query for each collection. With
    ``total`` nothing is counted at all: for a number that is kept elsewhere, or is good enough.
    The server walks over what comes before a page, so a long list is for pages by key:
    ``ListView.paginate_by_key``, or ``paginate_after`` of its queryset.
    """

    def __init__(self, *arguments: Any, total: int | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._total = total

    @cached_property  # type: ignore[untyped-decorator] # Django has no types
    def count(self) -> int:
        """How many documents all pages have, asked once."""
        if self._total is not None:
            return self._total
        documents = self.object_list
        if not isinstance(documents, BaseQuerySet):
            return len(documents)
        is_part = bool(documents._limit or documents._skip)
        return int(documents.clone().count(with_limit_and_skip=is_part))

    def _get_page(self, documents: Any, number: int, paginator: Any) -> Any:
        is_queryset = isinstance(documents, BaseQuerySet)
        shown = with_references(documents) if is_queryset else documents
        return super()._get_page(shown, number, paginator)
