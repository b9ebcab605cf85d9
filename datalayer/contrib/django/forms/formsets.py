"""Several documents at once, by Django's ``formset_factory``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.forms.formsets import BaseFormSet, formset_factory
from mongoengine.errors import ValidationError

from datalayer.contrib.django.forms.document_forms import DocumentForm, documentform_factory
from datalayer.documents.fields.conversion import key_of

_KEY = "document_key"


class BaseDocumentFormSet(BaseFormSet):
    """A set of ``DocumentForm``: those of ``queryset``, and empty ones for new documents.

    Each form carries the key of its document, which is looked up in ``queryset``: so a visitor
    can change no other, and none that has gone meanwhile is taken for the one beside it.
    """

    form: type[DocumentForm]

    def __init__(self, *arguments: Any, queryset: Any = None, **options: Any) -> None:
        self.queryset = queryset
        super().__init__(*arguments, **options)
        if not self.is_bound:
            self.initial: Any = [{} for _ in self._documents]

    @cached_property
    def _documents(self) -> list[Any]:
        queryset = self.form.options.document.objects if self.queryset is None else self.queryset
        return list(queryset)

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """The document of the form at this place."""
        kwargs: dict[str, Any] = super().get_form_kwargs(index)
        if index is not None and index < self.initial_form_count():
            kwargs["instance"] = self._document_at(index)
        return kwargs

    def add_fields(self, form: Any, index: int | None) -> None:
        """Add the hidden key."""
        super().add_fields(form, index)
        is_there = index is not None and index < self.initial_form_count()
        form.fields[_KEY] = forms.CharField(
            required=False,
            disabled=True,  # it was looked at already
            initial=str(form.instance.pk) if is_there else "",
            widget=forms.HiddenInput,
        )

    def clean(self) -> None:
        """Refuse forms whose document isn't there (any more)."""
        super().clean()
        if any(form.instance.pk is None for form in self.initial_forms):
            raise forms.ValidationError("One of them is not there any more.", "gone")

    def save(self) -> list[Any]:
        """Save what was changed, delete what was marked so, add what is new; gives the documents
        that were saved.

        Raises:
            ValueError: where a form isn't valid.
            NotUniqueError, ValidationError: as ``DocumentForm.save``; what was saved before stays
                so, unless it is done in a ``db.transaction()``.
        """
        if not self.is_valid():
            raise ValueError(f"{type(self).__name__} is not valid: show it again with its errors")
        deleted = self.deleted_forms
        for form in deleted:
            if form.instance.pk is not None:
                form.instance.delete()
        return [form.save() for form in self.forms if form.has_changed() and form not in deleted]

    save.alters_data = True  # type: ignore[attr-defined] # no template may call it

    def _document_at(self, index: int) -> Any:
        if not self.is_bound:
            return self._documents[index]
        sent = self.data.get(f"{self.add_prefix(index)}-{_KEY}")
        try:
            key = key_of(self.form.options.document, sent)
        except ValidationError:
            return None
        return next((each for each in self._documents if each.pk == key), None)


def documentformset_factory(
    document: Any,
    form: type[DocumentForm] = DocumentForm,
    formset: type[BaseDocumentFormSet] = BaseDocumentFormSet,
    *,
    meta: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """A set of forms of ``document``. ``meta`` are the options of the form's ``Meta`` (``fields``
    at least, where ``form`` has none); the others are those of Django's ``formset_factory``."""
    if meta is not None or form.options.document is None:
        form = documentform_factory(document, form, **(meta or {}))
    return formset_factory(form, formset=formset, **options)
