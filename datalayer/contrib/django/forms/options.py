"""What the ``class Meta`` of a document's form says, looked at when the form is defined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from django.core.exceptions import FieldError, ImproperlyConfigured
from django.forms.models import ALL_FIELDS

from datalayer.documents import Document, EmbeddedDocument


@dataclass(frozen=True)
class Options:
    """``Meta`` of a form. All but ``document`` mean what they mean in Django's ``ModelForm``."""

    document: Any = None
    fields: Sequence[str] | None = None
    """The names, or ``"__all__"``."""
    exclude: Sequence[str] | None = None
    widgets: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    help_texts: Mapping[str, Any] = field(default_factory=dict)
    error_messages: Mapping[str, Any] = field(default_factory=dict)
    field_classes: Mapping[str, Any] = field(default_factory=dict)
    localized_fields: Sequence[str] = ()
    formfield_callback: Callable[..., Any] | None = None

    def names(self) -> list[str]:
        """The fields of the document that are wanted, in the order in which they are named."""
        excluded = set(self.exclude or ())
        known = self.document._fields
        wanted = known if self.fields in (None, ALL_FIELDS) else self.fields or ()
        return [name for name in wanted if name not in excluded]

    @property
    def takes_all(self) -> bool:
        """Whether the fields were not named one by one."""
        return self.fields is None or self.fields == ALL_FIELDS


def options_of(form: str, meta: Any) -> Options:
    """The options that stand in ``meta``, a form's ``class Meta``.

    Raises:
        ImproperlyConfigured: where ``document`` is no document of datalayer's, or neither
            ``fields`` nor ``exclude`` says what visitors may set.
        TypeError: for one string in the place of a list of names.
    """
    given = {each.name: getattr(meta, each.name, None) for each in fields(Options)}
    options = Options(**{name: value for name, value in given.items() if value is not None})
    if options.document is None:
        if getattr(meta, "model", None) is not None:
            raise ImproperlyConfigured(
                f"{form}.Meta.model is for models of the ORM; name your document in Meta.document"
            )
        return options
    _check_document(form, options.document)
    for name in ("fields", "exclude", "localized_fields"):
        value = getattr(options, name)
        if isinstance(value, str) and value != ALL_FIELDS:
            raise TypeError(f"{form}.Meta.{name} is a list of names; write ({value!r},)")
    if options.fields is None and options.exclude is None:
        raise ImproperlyConfigured(
            f"{form}.Meta says neither which fields it has (fields) nor which it leaves out "
            "(exclude); visitors can set all that a form has"
        )
    return options


def check_names(form: str, options: Options, declared: Mapping[str, Any]) -> None:
    """Refuse names in ``fields`` that neither the document nor the form has.

    Raises:
        FieldError: with the names.
    """
    unknown = [
        name
        for name in options.names()
        if name not in options.document._fields and name not in declared
    ]
    if unknown:
        raise FieldError(
            f"{form}.Meta.fields names {', '.join(unknown)}, which {options.document.__name__} "
            "does not have"
        )


def _check_document(form: str, document: Any) -> None:
    is_ours = isinstance(document, type) and issubclass(document, (Document, EmbeddedDocument))
    if not is_ours:
        shown = getattr(document, "__name__", type(document).__name__)
        raise ImproperlyConfigured(
            f"{form}.Meta.document is {shown}, and no document; derive it from "
            "datalayer.BusinessDocument or another of datalayer's base classes"
        )
