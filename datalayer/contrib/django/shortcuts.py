"""``get_object_or_404`` and ``get_list_or_404`` for documents, and for the ORM's models still."""

from __future__ import annotations

from typing import Any

from django import shortcuts
from django.http import Http404
from mongoengine.errors import DoesNotExist, ValidationError
from mongoengine.queryset.base import BaseQuerySet


def get_object_or_404(klass: Any, *args: Any, **kwargs: Any) -> Any:
    """The one document that matches, of a document's class or of a queryset.

    What isn't there is answered with 404, and so is a value that no document can have, such as a
    bad id. A model, a manager or a queryset of the ORM goes to Django's own function.

    Raises:
        Http404: where there is none.
        MultipleObjectsReturned: the document's, where there are several.
    """
    queryset = _queryset(klass)
    if queryset is None:
        return shortcuts.get_object_or_404(klass, *args, **kwargs)
    try:
        return queryset.get(*args, **kwargs)
    except (DoesNotExist, ValidationError):
        raise _no(queryset) from None


def get_list_or_404(klass: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """All documents that match, as a list that is never empty.

    Raises:
        Http404: where there is none.
    """
    queryset = _queryset(klass)
    if queryset is None:
        found: list[Any] = shortcuts.get_list_or_404(klass, *args, **kwargs)
        return found
    try:
        found = list(queryset.filter(*args, **kwargs))
    except ValidationError:
        raise _no(queryset) from None
    if not found:
        raise _no(queryset)
    return found


def _queryset(klass: Any) -> Any:
    if isinstance(klass, BaseQuerySet):
        return klass
    is_document = isinstance(klass, type) and hasattr(klass, "_fields")
    return klass.objects if is_document else None


def _no(queryset: Any) -> Http404:
    return Http404(f"No {queryset._document.__name__} matches the given query.")
