"""One page of a list."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest

from datalayer.documents import QuerySet

_PAGE = 24
_LAST_PAGE = 50


def page_of(request: HttpRequest, found: QuerySet[Any]) -> dict[str, Any]:
    """The page of ``found`` that ``?page=`` asks for, and the numbers of those beside it.

    Django's Paginator would count all there is. Skipping costs the server what it skips, so it
    ends after some pages. What grows for ever goes by cursor: see the messages of a chat.
    """
    asked = request.GET.get("page", "1")
    page = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 else 0
    if not 1 <= page <= _LAST_PAGE:
        raise Http404("There is no such page.")
    shown = list(found.skip((page - 1) * _PAGE).limit(_PAGE + 1))
    return {
        "items": shown[:_PAGE],
        "previous": page - 1,
        "next": page + 1 if len(shown) > _PAGE and page < _LAST_PAGE else 0,
    }
