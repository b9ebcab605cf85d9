"""Which field of a form stands for which field of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mongoengine.base import BaseField
from mongoengine.fields import StringField
from wtforms import Form
from wtforms.fields.choices import SelectFieldBase

from datalayer.contrib.wtforms.conversions import FieldArgs, LeftOut, Options, without
from datalayer.contrib.wtforms.fields import choices, text
from datalayer.contrib.wtforms.form import EmbeddedForm, takes_name
from datalayer.contrib.wtforms.options import options_of
from datalayer.contrib.wtforms.part_conversions import PartConversions
from datalayer.contrib.wtforms.value_conversions import ValueConversions

Fields = dict[str, Any]

_HINTS = ("password", "radio", "textarea", "multiple", "field_args")


class ModelConverter(ValueConversions, PartConversions):
    """Makes fields of a form from fields of a model; derive from it to convert more, or others::

        class Converter(ModelConverter):
            @converts("ColourField")
            def conv_Colour(self, model, field, kwargs):
                return wtforms.fields.ColorField(**kwargs)

    ``base_class`` is that of the forms that are made: its ``Meta`` (translations, say) is that of
    the forms inside, too.
    """

    base_class: type = Form

    def __init__(self) -> None:
        self._methods = {
            kind: name
            for parent in reversed(type(self).__mro__)
            for name, method in vars(parent).items()
            for kind in getattr(method, "_converts", ())
        }
        self._within: list[Any] = []  # the embedded documents that are being converted

    def fields_of(
        self,
        model: Any,
        names: Iterable[str],
        field_args: FieldArgs | None = None,
    ) -> tuple[Fields, dict[str, str]]:
        """The fields for these of ``model``, and of the others why there is none."""
        found: Fields = {}
        left_out: dict[str, str] = {}
        for name in names:
            try:
                if name.startswith("_"):
                    raise LeftOut("forms take no name that begins with an underscore")
                if takes_name(self.base_class, name):
                    raise LeftOut("forms have something else of that name")
                made = self.convert(model, model._fields[name], (field_args or {}).get(name))
                if made is None:
                    raise LeftOut("the converter makes no field of it")
                found[name] = made
            except LeftOut as exc:
                left_out[name] = str(exc)
        return found, left_out

    def convert(self, model: Any, field: BaseField, field_args: Mapping[str, Any] | None) -> Any:
        """The form's field for ``field``.

        Raises:
            LeftOut: where there is none.
        """
        kwargs = options_of(field, field_args)
        chosen = kwargs.pop("wtf_field_class", None) or getattr(field, "wtf_field_class", None)
        if chosen is not None:
            return self._as_chosen(chosen, field, kwargs)
        if getattr(field, "secret", False):
            return self._secret(field, kwargs)
        if field.choices or ("choices" in kwargs and isinstance(field, StringField)):
            return self._choice(field, kwargs)
        for kind in type(field).__mro__:
            if kind.__name__ in self._methods:
                return getattr(self, self._methods[kind.__name__])(model, field, kwargs)
        raise LeftOut(f"a form has no field for a {type(field).__name__}")

    def _as_chosen(self, chosen: Any, field: BaseField, kwargs: Options) -> Any:
        kwargs = without(kwargs, *_HINTS)
        if field.choices and issubclass(chosen, SelectFieldBase):
            kwargs = choices.arguments(field.choices, **kwargs)
        return chosen(**kwargs)

    def _secret(self, field: BaseField, kwargs: Options) -> Any:
        if not any(kind.__name__ == "StringField" for kind in type(field).__mro__):
            raise LeftOut("it is secret, and no text that could be typed anew")
        return text.SecretField(**without(kwargs, "textarea", "password"))

    def _choice(self, field: BaseField, kwargs: Options) -> Any:
        coerce = getattr(field, "wtf_choices_coerce", None)
        if coerce is not None:
            kwargs.setdefault("coerce", coerce)
        allowed = field.choices or kwargs.pop("choices")
        if kwargs.pop("multiple", False):
            return choices.some_of(allowed, **kwargs)
        return choices.one_of(allowed, is_required=field.required, **kwargs)

    def form_of(self, kind: Any, field_args: FieldArgs | None) -> Any:
        """The class of the form of an embedded document.

        Raises:
            LeftOut: inside of its own.
        """
        if kind in self._within:
            raise LeftOut(f"{kind.__name__} contains itself")
        self._within.append(kind)
        try:
            names = [name for name in kind._fields_ordered if name != "_cls"]
            inner, left_out = self.fields_of(kind, names, field_args)
        finally:
            self._within.pop()
        meta = type("Meta", (self.base_class.Meta,), {"csrf": False})  # type: ignore[attr-defined]
        own = {**inner, "model_class": kind, "left_out": left_out, "Meta": meta}
        return type(f"{kind.__name__}Form", (EmbeddedForm,), own)
