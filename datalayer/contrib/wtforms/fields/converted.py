"""A text that stands for a value of another kind: an id, an amount, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from bson import json_util
from wtforms import fields, widgets

from datalayer.documents.extended_json import JSON_OPTIONS
from datalayer.documents.fields.refusals import UNFIT

_EXTENDED = {"$binary", "$date", "$numberDecimal", "$numberLong", "$oid", "$uuid"}
_UNREADABLE = (*UNFIT, LookupError, RecursionError)


class ConvertedField(fields.StringField):
    """A text from which ``convert`` makes the value; ``show`` makes the text of a value.

    ``convert`` raises an ``ArithmeticError``, ``TypeError`` or ``ValueError`` for what stands for
    none: then ``invalid_message`` is the error. A text that is sent back as it was shown leaves
    the value as it is, to the last digit.
    """

    def __init__(
        self,
        label: Any = None,
        validators: Any = None,
        *,
        convert: Callable[[str], Any],
        show: Callable[[Any], str] = str,
        invalid_message: str = "Not a valid value.",
        **kwargs: Any,
    ) -> None:
        super().__init__(label, validators, **kwargs)
        self.type = "TextAreaField" if isinstance(self.widget, widgets.TextArea) else "StringField"
        self.convert, self.show, self.invalid_message = convert, show, invalid_message

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return self._shown(self.data)

    def _shown(self, value: Any) -> str:
        return "" if value is None else self.show(value)

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the value that the text stands for."""
        if not valuelist:
            return
        sent, self.data = valuelist[0], None
        if sent is None:
            return
        text = sent.replace("\r\n", "\n") if isinstance(sent, str) else str(sent)
        if isinstance(sent, str) and not text.strip():
            return
        if self.object_data is not None and text == self._shown(self.object_data):
            self.data = self.object_data
            return
        try:
            self.data = self.convert(text.strip())
        except _UNREADABLE as exc:
            raise ValueError(self.gettext(self.invalid_message)) from exc


class NumberField(ConvertedField):
    """A number with a fraction, exactly as it is written."""

    widget = widgets.NumberInput(step="any")


def json_field(show_as: Callable[[Any], Any], **kwargs: Any) -> Any:
    """A text area with JSON; ``show_as`` makes of a value what the database has of it.

    Dates, ids, decimals and binary values are written in MongoDB's Extended JSON. No other names
    that begin with a dollar sign are taken.
    """
    return ConvertedField(
        convert=_read,
        show=lambda value: _shown(show_as(value)),
        **{"invalid_message": "Not valid JSON.", "widget": widgets.TextArea(), **kwargs},
    )


def _shown(value: Any) -> str:
    if value in ({}, []):
        return ""
    return json_util.dumps(value, json_options=JSON_OPTIONS, indent=2, ensure_ascii=False)


def _read(text: str) -> Any:
    return json.loads(text, object_hook=_object, parse_constant=_refuse)


def _object(value: dict[str, Any]) -> Any:
    reserved = {name for name in value if name.startswith("$")}
    if not reserved:
        return value
    if len(value) != 1 or not reserved <= _EXTENDED:
        raise ValueError("a name begins with a dollar sign")
    return json_util.object_hook(value, JSON_OPTIONS)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
