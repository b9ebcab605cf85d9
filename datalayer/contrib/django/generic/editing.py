"""``CreateView``, ``UpdateView`` and ``DeleteView`` for documents."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse, HttpResponseRedirect
from django.views import generic
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.contrib.django.forms import documentform_factory
from datalayer.contrib.django.generic.details import SingleDocumentMixin
from datalayer.contrib.django.generic.naming import address, document_of
from datalayer.errors import StaleDocumentError


class _Afterwards(SingleDocumentMixin):
    success_url: Any = None

    def get_success_url(self) -> str:
        """``success_url``, in which ``{pk}`` and other attributes of the document may stand, or
        what its ``get_absolute_url`` gives."""
        if self.success_url:
            return address(self.success_url, self.object)
        if not hasattr(self.object, "get_absolute_url"):
            raise ImproperlyConfigured(
                f"{type(self).__name__} has no address to go to: set its success_url, or give "
                f"{type(self.object).__name__} a get_absolute_url()"
            )
        return str(self.object.get_absolute_url())


class DocumentFormMixin(_Afterwards):
    """Put before a view with ``ModelFormMixin``: a form of ``fields`` of ``document``, or a
    ``form_class`` that is a ``DocumentForm``. What the database refuses is shown in the form."""

    fields: Any = None
    form_class: Any = None
    template_name_suffix = "_form"

    def get_form_class(self) -> Any:
        """The form's class."""
        if self.form_class is not None and self.fields is not None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} has both fields and a form_class; the form has its own"
            )
        if self.form_class is not None:
            return self.form_class
        if self.fields is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} says neither which fields its form has nor its form_class"
            )
        document = type(self.object) if self.object is not None else document_of(self)
        return documentform_factory(document, fields=self.fields)

    def form_valid(self, form: Any) -> HttpResponse:
        """Save the document, and go on; or show the form with what the database refused."""
        try:
            self.object = form.save()
        except (NotUniqueError, StaleDocumentError, ValidationError):
            if not form.errors:
                raise  # it is about another document, which form.save() of the project's saves
            answer: HttpResponse = self.form_invalid(form)  # type: ignore[attr-defined]
            return answer
        return HttpResponseRedirect(self.get_success_url())


class CreateView(DocumentFormMixin, generic.CreateView):
    """``django.views.generic.CreateView`` of ``document``."""


class UpdateView(DocumentFormMixin, generic.UpdateView):
    """``django.views.generic.UpdateView`` of ``document``."""


class DeleteView(_Afterwards, generic.DeleteView):
    """``django.views.generic.DeleteView`` of ``document``: asks at GET, deletes at POST."""

    template_name_suffix = "_confirm_delete"
