"""A system check: views of Django's own that were given a document, which they fail at when asked
for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.urls import get_resolver
from django.views.generic.detail import SingleObjectMixin
from django.views.generic.list import MultipleObjectMixin
from mongoengine.base import BaseDocument

from datalayer.contrib.django.generic.details import SingleDocumentMixin
from datalayer.contrib.django.generic.lists import MultipleDocumentMixin

_OF_THE_ORM = (MultipleObjectMixin, SingleObjectMixin)
_OURS = (MultipleDocumentMixin, SingleDocumentMixin)


def check_views(**_options: Any) -> list[CheckMessage]:
    """E006: a generic view for models of the ORM that has a document for its model."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    return [
        Error(
            f"{view.__module__}.{view.__qualname__} is a view for models of the ORM, and "
            f"{document.__name__} is a document.",
            hint=f"Derive it from datalayer.contrib.django.generic.{_kind(view)}.",
            id="datalayer.E006",
        )
        for view, document in dict(_views(get_resolver())).items()
    ]


def _views(resolver: Any) -> Iterator[tuple[Any, Any]]:
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern)
            continue
        view = getattr(pattern.callback, "view_class", object)
        given = getattr(pattern.callback, "view_initkwargs", {})
        model = given.get("model", getattr(view, "model", None))
        is_document = isinstance(model, type) and issubclass(model, BaseDocument)
        if is_document and issubclass(view, _OF_THE_ORM) and not issubclass(view, _OURS):
            yield view, model


def _kind(view: Any) -> str:
    names = ("CreateView", "UpdateView", "DeleteView", "DetailView", "ListView")
    bases = [each.__name__ for each in view.__mro__]
    return next((name for name in names if name in bases), "SingleDocumentMixin")
