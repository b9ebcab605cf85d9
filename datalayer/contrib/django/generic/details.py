"""``DetailView`` for documents."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.views import generic

from datalayer.contrib.django.generic.naming import document_of, template, variable
from datalayer.contrib.django.shortcuts import get_object_or_404


class SingleDocumentMixin:
    """Put before a view with ``SingleObjectMixin``: the one of ``document`` whose key or slug is
    in the address; what is no key of it is answered with 404."""

    document: Any = None
    model: Any = None
    context_object_name: str | None = None
    template_name: str | None = None
    template_name_suffix = "_detail"
    pk_url_kwarg = "pk"
    slug_url_kwarg = "slug"
    slug_field = "slug"
    query_pk_and_slug = False
    object: Any = None
    kwargs: dict[str, Any]

    def get_queryset(self) -> Any:
        """Where the document is looked for: all of them."""
        document = document_of(self)
        if document is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no document to show: set its `document`, or override "
                "get_queryset()"
            )
        return document.objects

    def get_object(self, queryset: Any = None) -> Any:
        """The document that the address names.

        Raises:
            Http404: where there is none.
        """
        key, slug = self.kwargs.get(self.pk_url_kwarg), self.kwargs.get(self.slug_url_kwarg)
        if key is None and slug is None:
            raise AttributeError(
                f"{type(self).__name__} needs {self.pk_url_kwarg!r} or {self.slug_url_kwarg!r} in "
                "its address"
            )
        wanted = {} if key is None else {"pk": key}
        if slug is not None and (key is None or self.query_pk_and_slug):
            wanted[self.slug_field] = slug
        found = self.get_queryset() if queryset is None else queryset
        return get_object_or_404(found, **wanted)

    def get_context_object_name(self, obj: Any) -> str | None:
        """``offer`` for an ``Offer``."""
        return self.context_object_name or variable(type(obj))

    def get_template_names(self) -> list[str]:
        """``shop/offer_detail.html`` where the view names none."""
        if self.template_name is not None:
            return [self.template_name]
        document = type(self.object) if self.object is not None else document_of(self)
        return [template(document, self.template_name_suffix)]


class DetailView(SingleDocumentMixin, generic.DetailView):
    """``django.views.generic.DetailView`` of ``document``."""
