"""``DocumentForm``: a form that shows, checks and saves a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import FieldError
from django.forms.forms import DeclarativeFieldsMetaclass
from mongoengine.errors import NotUniqueError, ValidationError
from mongoengine.fields import (
    EmbeddedDocumentField,
    GenericEmbeddedDocumentField,
    ListField,
)

from datalayer.contrib.django.forms.fields import VersionField
from datalayer.contrib.django.forms.files import stored
from datalayer.contrib.django.forms.filling import fill, shown_values
from datalayer.contrib.django.forms.mapping import form_field, is_for_forms
from datalayer.contrib.django.forms.nested import EmbeddedFormField, EmbeddedFormSetField
from datalayer.contrib.django.forms.options import Options, check_names, options_of
from datalayer.contrib.django.forms.refusals import tell, tell_taken
from datalayer.contrib.django.forms.uniqueness import refused_fields, taken
from datalayer.documents import Document, EmbeddedDocument
from datalayer.errors import StaleDocumentError


class _DocumentFormMetaclass(DeclarativeFieldsMetaclass):
    """Adds the fields of ``Meta.document`` to those that the class declares."""

    def __new__(mcs, name: str, bases: Any, attrs: dict[str, Any]) -> Any:
        made: Any = super().__new__(mcs, name, bases, attrs)
        options = made.options = options_of(name, getattr(made, "Meta", None))
        if options.document is not None:
            check_names(name, options, made.declared_fields)
            found = _fields_of(name, options, made.within, made.declared_fields)
            made.base_fields = {**found, **made.declared_fields}
        return made


class DocumentForm(forms.Form, metaclass=_DocumentFormMetaclass):
    """A form of the fields of a document, with Django's widgets, templates and messages.

        class OfferForm(DocumentForm):
            class Meta:
                document = Offer
                fields = ["title", "price"]

    ``Meta`` takes ``document`` and what ``ModelForm``'s takes: ``fields`` or ``exclude``,
    ``widgets``, ``labels``, ``help_texts``, ``error_messages``, ``field_classes``,
    ``localized_fields``, ``formfield_callback``. A field that is declared in the class takes the
    place of the document's. ``is_valid`` checks the form, then the document, then what has to be
    unique; only fields of the form are set, and none that ``Meta`` leaves out.
    """

    options: Options
    within: tuple[Any, ...] = ()  # the documents that a nested form stands in
    instance: Any

    def __init__(
        self,
        data: Any = None,
        files: Any = None,
        *,
        instance: Any = None,
        initial: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if self.options.document is None:
            raise ValueError(f"{type(self).__name__} has no Meta.document to make a form of")
        self.instance = self.options.document() if instance is None else instance
        self.is_new = instance is None or bool(getattr(instance, "_created", True))
        self._uploads: dict[str, Any] = {}
        names = [name for name in self.options.names() if name in self.options.document._fields]
        self._names = [name for name in names if name in self.base_fields]
        shown = shown_values(self.instance, self._names)
        super().__init__(data, files, initial={**shown, **(initial or {})}, **options)
        for name, field in self.fields.items():
            if isinstance(field, (EmbeddedFormField, EmbeddedFormSetField)):
                field.bind(self, name)
        self._settle_fields()

    def full_clean(self) -> None:
        """Check the form, then the document with its values."""
        super().full_clean()
        if not self.is_bound or (self.empty_permitted and not self.has_changed()):
            return
        names = [name for name in self._names if name in self.fields]
        self._uploads = fill(self, names)
        try:
            self.instance.validate(clean=True)
        except ValidationError as exc:
            tell(self, exc)
        if isinstance(self.instance, Document):
            for found in list(taken(self.instance, names, self.errors, is_new=self.is_new)):
                tell_taken(self, found)

    def save(self, commit: bool = True) -> Any:
        """Save the document and its files, and give it. With ``commit=False`` it is only given;
        ``save_files`` and its own ``save`` are then for later. One that is embedded is only given.

        Raises:
            ValueError: where the form isn't valid.
            NotUniqueError, ValidationError, StaleDocumentError: where the document is refused
                after all, because another took a value meanwhile, for a field that the form does
                not have, or because others have changed it. The form has the error then, and can
                be shown again.
        """
        if self.errors:
            raise ValueError(f"{type(self).__name__} is not valid: show it again with its errors")
        if commit and isinstance(self.instance, Document):
            with stored(self.instance, self._uploads):
                self._save()
            self._uploads = {}
        return self.instance

    def save_files(self) -> None:
        """Store the uploads after ``save(commit=False)``, and save the document with them."""
        with stored(self.instance, self._uploads):
            self._save()
        self._uploads = {}

    save.alters_data = True  # type: ignore[attr-defined] # no template may call it
    save_files.alters_data = True  # type: ignore[attr-defined]

    def _save(self) -> None:
        try:
            # Never over a document that has the key already.
            self.instance.save(force_insert=self.is_new)
            self.is_new = False
        except NotUniqueError as exc:
            tell_taken(self, refused_fields(type(self.instance), exc))
            raise
        except ValidationError as exc:
            tell(self, exc, others=True)
            raise
        except StaleDocumentError:
            self.add_error(None, "It was changed or deleted meanwhile: look at it again.")
            raise

    def _settle_fields(self) -> None:
        """What depends on the document: a key stays what it is, a secret need not come again."""
        for name in self._names:
            field, form_field = self.instance._fields[name], self.fields[name]
            if name == self.instance._meta.get("id_field") and not self.is_new:
                form_field.disabled = True  # another key would be another document
            if getattr(field, "secret", False) and getattr(self.instance, name):
                form_field.required = False


def documentform_factory(
    document: Any,
    form: type[DocumentForm] = DocumentForm,
    **options: Any,
) -> type[DocumentForm]:
    """A ``DocumentForm`` of ``document``; ``options`` are those of ``Meta``."""
    return _made(document, form, (), options)


def _made(
    document: Any, form: Any, within: tuple[Any, ...], options: Mapping[str, Any]
) -> type[DocumentForm]:
    meta_bases = (form.Meta,) if hasattr(form, "Meta") else ()
    meta = type("Meta", meta_bases, {"document": document, **options})
    attributes = {"Meta": meta, "__module__": form.__module__, "within": within}
    found: type[DocumentForm] = _DocumentFormMetaclass(
        f"{document.__name__}Form", (form,), attributes
    )
    return found


def _fields_of(
    form: str, options: Options, within: tuple[Any, ...], declared: Mapping[str, Any]
) -> dict[str, Any]:
    document, found = options.document, {}
    for name in options.names():
        if name in declared or name not in document._fields:
            continue
        if options.takes_all and not is_for_forms(document, name):
            continue
        made = _field_of(options, name, (*within, document))
        if made is not None:
            found[name] = made
        elif not options.takes_all:
            kind = type(document._fields[name]).__name__
            raise FieldError(
                f"{form} can't make a form field of {document.__name__}.{name}, a {kind}: declare "
                "one in the form, or leave it out"
            )
    return found


def _field_of(options: Options, name: str, within: tuple[Any, ...]) -> Any:
    field = options.document._fields[name]
    overrides = {
        key: given[name]
        for key, given in (
            ("widget", options.widgets),
            ("label", options.labels),
            ("help_text", options.help_texts),
            ("error_messages", options.error_messages),
        )
        if name in given
    }
    if name in options.localized_fields or options.localized_fields == "__all__":
        overrides["localize"] = True
    if field.db_field == getattr(options.document, "_version_key", None):
        return VersionField()
    if options.formfield_callback is not None:
        return options.formfield_callback(field, **overrides)
    embedded = _embedded_in(field)
    if embedded is not None and name not in options.field_classes:
        if embedded in within:
            return None  # it would never end
        nested = _made(embedded, DocumentForm, within, {"fields": "__all__"})
        overrides.pop("widget", None)
        is_list = isinstance(field, ListField)
        kind: Any = EmbeddedFormSetField if is_list else EmbeddedFormField
        return kind(nested, required=bool(field.required), label=_label(field), **overrides)
    return form_field(field, overrides, options.field_classes.get(name))


def _label(field: Any) -> str:
    shown: str = getattr(field, "verbose_name", None) or field.name.replace("_", " ").capitalize()
    return shown


def _embedded_in(field: Any) -> Any:
    """The class of the embedded documents that a field holds, one or a list of them."""
    inner = field.field if isinstance(field, ListField) else field
    is_embedded = isinstance(inner, EmbeddedDocumentField)
    if not is_embedded or isinstance(inner, GenericEmbeddedDocumentField):
        return None
    kind = inner.document_type
    return kind if issubclass(kind, EmbeddedDocument) else None
