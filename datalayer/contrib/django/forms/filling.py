"""From cleaned values to the document: which of them are set, and how."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from mongoengine.errors import DoesNotExist, ValidationError

from datalayer.contrib.django.forms.fields import (
    JSONObjectField,
    MomentField,
    SecretField,
    VersionField,
)
from datalayer.contrib.django.forms.nested import EmbeddedFormField, EmbeddedFormSetField
from datalayer.contrib.django.forms.refusals import tell


def shown_values(document: Any, names: list[str]) -> dict[str, Any]:
    """What a form shows of a document at first. Secrets are not."""
    shown = {}
    for name in names:
        if not getattr(document._fields[name], "secret", False):
            with suppress(DoesNotExist):  # it refers to what is gone, and can be chosen anew
                shown[name] = getattr(document, name)
    return shown


def fill(form: Any, names: list[str]) -> dict[str, UploadedFile]:
    """Set the fields ``names`` of the form's document to what was cleaned; gives the uploads,
    which are for later. A value that its field refuses is told at that field."""
    uploads = {}
    for name in names:
        if name not in form.cleaned_data:
            continue
        field, value = form.fields[name], form.cleaned_data[name]
        if isinstance(field, forms.FileField):
            if isinstance(value, UploadedFile):
                uploads[name] = value
        elif not _is_left_alone(form, name, field, value):
            try:
                _set(form.instance, name, field, value)
            except ValidationError as exc:
                tell(form, exc)
    return uploads


def _is_left_alone(form: Any, name: str, field: Any, value: Any) -> bool:
    """Whether what is in the document stays: nothing was typed, or nothing sent at all."""
    if field.disabled or (isinstance(field, (SecretField, VersionField)) and value is None):
        return True
    if isinstance(field, (EmbeddedFormField, EmbeddedFormSetField)):
        return not form.is_new and not field.nested.has_changed()
    has_default = form.instance._fields[name].default is not None
    return bool(
        has_default
        and value in field.empty_values
        and field.widget.value_omitted_from_data(form.data, form.files, form.add_prefix(name))
    )


def _set(document: Any, name: str, field: Any, value: Any) -> None:
    if isinstance(field, MomentField) and field.is_as_shown(value, getattr(document, name)):
        return  # its fraction of a second, which was not shown, stays
    if not isinstance(field, JSONObjectField):
        setattr(document, name, value)
    elif value != getattr(document, name):
        # Data from outside of any shape: never the name of a class to load, nor an operator.
        document.update_from_input({name: value}, allow=[name])
