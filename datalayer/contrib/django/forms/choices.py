"""Form fields whose choices are documents: references and lists of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bson import DBRef
from django import forms
from django.core.exceptions import ValidationError
from mongoengine.base import LazyReference
from mongoengine.errors import ValidationError as NoKey

from datalayer.documents.fields.conversion import key_of


class DocumentChoiceField(forms.ChoiceField):
    """One document out of ``queryset``: a document's class for all of it, a queryset, or a
    function that gives one.

    The database is asked when the choices are shown or one is looked up, never when the form is
    defined. Give ``form.fields[name].queryset`` another value to choose from less. The choices
    are named by ``str(document)``; override ``label_from_instance`` for another name. Of many
    documents, give the field a ``widget`` that shows no choices, such as ``TextInput``.
    """

    default_error_messages = {
        "invalid_choice": "Select a valid choice. That choice is not one of the available choices."
    }

    def __init__(
        self, queryset: Any, *, empty_label: str | None = "---------", **options: Any
    ) -> None:
        super().__init__(**options)
        self.queryset, self.empty_label = queryset, empty_label
        self.choices = self._options

    def __deepcopy__(self, memo: Any) -> Any:
        copied = super().__deepcopy__(memo)
        copied.choices = copied._options  # of its own queryset, which a form may have replaced
        return copied

    def documents(self) -> Any:
        """The queryset of the documents to choose from, anew."""
        given = self.queryset
        if isinstance(given, type):
            return given.objects  # type: ignore[attr-defined]
        return given.all() if hasattr(given, "all") else given()

    def label_from_instance(self, document: Any) -> str:
        """What a choice is called."""
        return str(document)

    def prepare_value(self, value: Any) -> Any:
        """The key of a document as text."""
        return _key_text(value)

    def to_python(self, value: Any) -> Any:
        """The document with this key; one that is not to be chosen is refused."""
        if value in self.empty_values:
            return None
        found = self.documents().filter(pk=self._key(value)).first()
        if found is None:
            raise ValidationError(self.error_messages["invalid_choice"], "invalid_choice")
        return found

    def validate(self, value: Any) -> None:
        """It was looked up; only that there is one where one is needed is left to see."""
        forms.Field.validate(self, value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another was chosen. Asks no database."""
        return (_key_text(initial) or "") != (_key_text(data) or "")

    def _key(self, value: Any) -> Any:
        try:
            return key_of(self.documents()._document, _key_text(value))
        except NoKey:
            raise ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice"
            ) from None

    def _options(self) -> Iterator[tuple[str, str]]:
        if self.empty_label is not None:
            yield "", self.empty_label
        for each in self.documents():
            yield str(each.pk), self.label_from_instance(each)


class DocumentMultipleChoiceField(DocumentChoiceField):
    """Several documents out of ``queryset``, as a list in the order in which they were sent."""

    widget = forms.SelectMultiple
    hidden_widget = forms.MultipleHiddenInput
    default_error_messages = {"list": "Enter a list of values."}

    def __init__(self, queryset: Any, **options: Any) -> None:
        super().__init__(queryset, **{**options, "empty_label": None})

    def prepare_value(self, value: Any) -> Any:
        """The keys as text."""
        if isinstance(value, (list, tuple)):
            return [_key_text(each) for each in value]
        return value

    def to_python(self, value: Any) -> Any:
        """The documents, found by one query."""
        if not value:
            return []
        if not isinstance(value, (list, tuple)):
            raise ValidationError(self.error_messages["list"], "list")
        keys = [self._key(each) for each in dict.fromkeys(value)]
        found = {each.pk: each for each in self.documents().filter(pk__in=keys)}
        if len(found) < len(keys):
            raise ValidationError(self.error_messages["invalid_choice"], "invalid_choice")
        return [found[key] for key in keys]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether others were chosen, or in another order."""
        old = [_key_text(each) for each in initial or ()]
        return old != [str(each) for each in data or ()]


def _key_text(value: Any) -> Any:
    """The key, as text, of a document or of what refers to one."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, DBRef):
        return str(value.id)
    if isinstance(value, LazyReference) or hasattr(value, "_fields"):
        return str(value.pk)
    return str(value)
