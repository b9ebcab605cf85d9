"""``ListView`` for documents."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404
from django.views import generic
from mongoengine.errors import ValidationError

from datalayer.contrib.django.generic.naming import document_of, template, variable
from datalayer.contrib.django.generic.paginator import DocumentPaginator


class MultipleDocumentMixin:
    """Put before a view with ``MultipleObjectMixin``: a list of ``document``, all of it or what
    ``get_queryset`` gives. (A queryset as a class attribute would have to be made before anything
    is connected.)

    With ``paginate_by_key``, pages begin after a document rather than at a number: nothing is
    counted or skipped, so that the last page is as fast as the first. ``page_obj.next`` and
    ``page_obj.previous`` are what ``?after=`` takes, signed with ``SECRET_KEY``.
    """

    document: Any = None
    model: Any = None
    ordering: Any = None
    paginator_class: Any = DocumentPaginator
    paginate_by_key = False
    after_kwarg = "after"
    context_object_name: str | None = None
    template_name: str | None = None
    template_name_suffix = "_list"
    object_list: Any
    request: Any

    def get_queryset(self) -> Any:
        """All documents, in the order of ``ordering``."""
        document = document_of(self)
        if document is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no document to list: set its `document`, or override "
                "get_queryset()"
            )
        queryset = document.objects
        if self.ordering:
            names = [self.ordering] if isinstance(self.ordering, str) else self.ordering
            queryset = queryset.order_by(*names)
        # Templates call what can be called: that would be another query with each use.
        queryset.do_not_call_in_templates = True
        return queryset

    def paginate_queryset(self, queryset: Any, page_size: int) -> Any:
        """The paginator, the page, what is on it, and whether there are others.

        Raises:
            Http404: for a page that isn't there, and for what is no place in the list.
        """
        if not self.paginate_by_key:
            return super().paginate_queryset(queryset, page_size)  # type: ignore[misc]
        after = self.request.GET.get(self.after_kwarg)
        try:
            page = queryset.paginate_after(
                after, page_size, error_out=False, secret_key=settings.SECRET_KEY
            )
        except ValidationError as exc:
            raise Http404(str(exc.message)) from None
        return None, page, page.items, page.has_next or page.has_prev

    def get_context_object_name(self, object_list: Any) -> str | None:
        """``offer_list`` for ``Offer``."""
        document = getattr(object_list, "_document", None)
        if self.context_object_name or document is None:
            return self.context_object_name
        return f"{variable(document)}_list"

    def get_template_names(self) -> list[str]:
        """``shop/offer_list.html`` where the view names none."""
        document = getattr(self.object_list, "_document", None) or document_of(self)
        if self.template_name is not None:
            return [self.template_name]
        if document is None:
            raise ImproperlyConfigured(f"{type(self).__name__} needs a template_name")
        return [template(document, self.template_name_suffix)]


class ListView(MultipleDocumentMixin, generic.ListView):
    """``django.views.generic.ListView`` of ``document``."""
