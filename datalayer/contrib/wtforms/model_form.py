"""Makes a form's class of a model: which of its fields the form has, and which it can't have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from mongoengine.base import BaseDocument
from mongoengine.fields import ObjectIdField
from wtforms import fields, validators, widgets

from datalayer.contrib.wtforms.conversions import FieldArgs
from datalayer.contrib.wtforms.converter import Fields, ModelConverter
from datalayer.contrib.wtforms.form import Document, ModelForm, ModelFormMixin
from datalayer.documents.timestamps import keeps_timestamp
from datalayer.documents.versions.field import NAME as VERSION
from datalayer.errors import ConfigurationError


@overload
def model_form(
    model: type[Document],
    *,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: ModelConverter | None = None,
) -> type[ModelForm[Document]]: ...
@overload
def model_form(
    model: type[Any],
    base_class: type[Any],
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: ModelConverter | None = None,
) -> type[Any]: ...
def model_form(
    model: type[Any],
    base_class: type[Any] = ModelForm,
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: ModelConverter | None = None,
) -> type[Any]:
    """A form's class for documents of ``model``, which may be any of MongoEngine's classes.

    ``base_class`` is a form's class; what it lacks of ``ModelForm`` (``save`` and the like) is
    added. ``only`` names the fields to have, in their order; ``exclude`` those not to have.
    ``field_args`` has arguments for a form's field by the name of the model's. ``converter``
    makes the fields: one of a class derived from ``ModelConverter``.

    Left out by themselves are the key that the database gives, time stamps, and what no form can
    hold; ``left_out`` of the class says which, and why. A versioned model's form carries the
    version that it was made from.

    Raises:
        ConfigurationError: for a name that the model lacks, and for a field named in ``only``
            that no form can have.
    """
    wanted = None if only is None else list(only)
    converter = converter or ModelConverter()
    converter.base_class = base_class
    found, left_out = _fields(model, wanted, exclude, field_args, converter)
    refused = [] if wanted is None else [name for name in wanted if name in left_out]
    if refused:
        raise ConfigurationError(
            f"a form can't have {model.__name__}.{name}: {left_out[name]}" for name in refused
        )
    bases = (
        (base_class,)
        if issubclass(base_class, ModelFormMixin)
        else (
            ModelFormMixin,
            base_class,
        )
    )
    own = {**found, "model_class": model, "left_out": left_out}
    return type(f"{model.__name__}Form", bases, own)


def model_fields(
    model: type[Any],
    only: Iterable[str] | None = None,
    exclude: Iterable[str] | None = None,
    field_args: FieldArgs | None = None,
    converter: ModelConverter | None = None,
) -> Fields:
    """The fields that ``model_form`` gives a form, by name; for forms that are put together.

    Raises:
        ConfigurationError: for a name that the model lacks.
    """
    return _fields(model, only, exclude, field_args, converter or ModelConverter())[0]


def _fields(
    model: Any,
    only: Iterable[str] | None,
    exclude: Iterable[str] | None,
    field_args: FieldArgs | None,
    converter: ModelConverter,
) -> tuple[Fields, dict[str, str]]:
    if not _is_model(model):
        raise TypeError("a model is a class of documents, or of embedded documents")
    wanted = None if only is None else list(only)
    unwanted = set(exclude or ())
    _refuse_unknown(model, [*(wanted or ()), *unwanted, *(field_args or ())])
    names = model._fields_ordered if wanted is None else wanted
    kept, left_out = [], {}
    for name in names:
        reason = None if wanted is not None and name != VERSION else _kept_by_others(model, name)
        if reason is not None:
            left_out[name] = reason
        elif name not in unwanted and name != "_cls":
            kept.append(name)
    found, unfit = converter.fields_of(model, kept, field_args)
    if getattr(model, "_version_key", None) is not None and VERSION not in unwanted:
        left_out.pop(VERSION, None)
        found[VERSION] = fields.IntegerField(
            validators=[validators.Optional(), validators.NumberRange(0, 2**63 - 2)],
            widget=widgets.HiddenInput(),
        )
    return found, {**left_out, **unfit}


def _refuse_unknown(model: Any, names: Iterable[str]) -> None:
    unknown = sorted({name for name in names if name not in model._fields})
    if unknown:
        raise ConfigurationError(
            f"{model.__name__} has no field {name!r} to make a form of" for name in unknown
        )


def _kept_by_others(model: Any, name: str) -> str | None:
    """Who keeps the value of a field up to date, where it isn't the application."""
    field, meta = model._fields[name], getattr(model, "_meta", {})
    if name == meta.get("id_field") and isinstance(field, ObjectIdField):
        return "the database's key of the document"
    if name in ("created_at", "updated_at") and keeps_timestamp(model, name):
        return "a time stamp, which saving keeps"
    if name == VERSION and getattr(model, "_version_key", None) is not None:
        return "the version, which saving keeps"
    return None


def _is_model(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseDocument)
