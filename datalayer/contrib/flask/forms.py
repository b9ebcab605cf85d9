"""Forms made of models, on Flask-WTF: filled from the request, and safe from forged ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

try:
    from flask_wtf import FlaskForm
except ImportError as exc:
    raise ImportError(
        'forms need Flask-WTF and WTForms: pip install "mongoengine-datalayer[flask,forms]"'
    ) from exc

from datalayer.contrib import wtforms
from datalayer.contrib.wtforms.conversions import FieldArgs
from datalayer.contrib.wtforms.form import Document, ModelFormMixin


class ModelForm(ModelFormMixin[Document], FlaskForm):
    """The base of forms made of models: a ``FlaskForm``, with a token against forged requests."""


@overload
def model_form(
    model: type[Document],
    *,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: wtforms.ModelConverter | None = None,
) -> type[ModelForm[Document]]: ...
@overload
def model_form(
    model: type[Any],
    base_class: type[Any],
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: wtforms.ModelConverter | None = None,
) -> type[Any]: ...
def model_form(
    model: type[Any],
    base_class: type[Any] = ModelForm,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: wtforms.ModelConverter | None = None,
) -> type[Any]:
    """``datalayer.contrib.wtforms.model_form``, on ``FlaskForm`` unless told otherwise.

    Raises:
        ConfigurationError: for a name that the model lacks, and for a field named in ``only``
            that no form can have.
    """
    return wtforms.model_form(model, base_class, only, exclude, field_args, converter)
