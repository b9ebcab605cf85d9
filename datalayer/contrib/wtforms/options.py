"""What a model's field says of any field of a form: label, help, validators, filters, default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mongoengine.base import BaseField
from mongoengine.fields import ListField
from wtforms import validators

from datalayer.contrib.wtforms.validators import Fits, Required

_SAY_WHETHER_REQUIRED = (validators.InputRequired, validators.DataRequired, validators.Optional)


def options_of(field: BaseField, field_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """The arguments for the form's field: what the model says, under ``wtf_options`` of the
    model's field, under ``field_args``."""
    options: dict[str, Any] = {
        "label": getattr(field, "verbose_name", None),
        "description": getattr(field, "help_text", None) or "",
        "validators": _listed(field, "validators"),
        "filters": _listed(field, "filters"),
        "default": field.default,
        **(getattr(field, "wtf_options", None) or {}),
        **(field_args or {}),
    }
    # Copies: the lists may be shared by several forms.
    options["filters"] = list(options["filters"])
    options["validators"] = _in_order(field, list(options["validators"]))
    return options


def _listed(field: BaseField, name: str) -> list[Any]:
    given = getattr(field, f"wtf_{name}", None) or getattr(field, name, None) or []
    return [given] if callable(given) else list(given)


def _in_order(field: BaseField, given: list[Any]) -> list[Any]:
    """Whether there has to be a value; what the application asks; what the model asks."""
    first: list[Any] = []
    if not any(isinstance(each, _SAY_WHETHER_REQUIRED) for each in given):
        if field.required:
            first = [Required()]
        elif not isinstance(field, ListField):
            first = [validators.Optional()]
    return [*first, *given, *_limits(field), Fits(field)]


def _limits(field: BaseField) -> list[Any]:
    """What browsers can be told, too; the model is asked in any case."""
    found: list[Any] = []
    if isinstance(field, ListField):
        return found
    shortest, longest = getattr(field, "min_length", None), getattr(field, "max_length", None)
    if shortest is not None or longest is not None:
        limits = {"min": shortest or -1, "max": -1 if longest is None else longest}
        found += [validators.Length(**limits)] if limits != {"min": -1, "max": -1} else []
    least, most = getattr(field, "min_value", None), getattr(field, "max_value", None)
    if least is not None or most is not None:
        found.append(validators.NumberRange(min=least, max=most))
    return found
