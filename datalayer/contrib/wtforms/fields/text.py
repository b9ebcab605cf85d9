"""Texts, of which an empty one is no value; and secrets, which are never shown."""

from __future__ import annotations

from typing import Any

from wtforms import fields
from wtforms.utils import unset_value


class _EmptyIsNone:
    """Takes an empty text for no value, so that nothing is stored of it."""

    data: Any
    object_data: Any

    def process_formdata(self, valuelist: list[Any]) -> None:
        if not valuelist:
            return
        text = valuelist[0]
        if text is not None and not isinstance(text, str):  # a JSON object's, perhaps an operator
            self.data = None
            raise ValueError(self.gettext("Not a valid text."))  # type: ignore[attr-defined]
        self.data = text if text or self.object_data == "" else None


class StringField(_EmptyIsNone, fields.StringField):
    """A line of text."""


class EmailField(_EmptyIsNone, fields.EmailField):
    """An e-mail address."""


class URLField(_EmptyIsNone, fields.URLField):
    """An address in the web."""


class PasswordField(_EmptyIsNone, fields.PasswordField):
    """A password that is shown as dots, for a model's field that isn't marked secret."""


class TextAreaField(_EmptyIsNone, fields.TextAreaField):
    """Text of several lines, which browsers end with two characters: one of them is stored."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the text that was sent."""
        super().process_formdata(valuelist)
        if valuelist and self.data:
            self.data = self.data.replace("\r\n", "\n")


class SecretField(fields.PasswordField):
    """A secret: what is stored never reaches the form, and an empty field leaves it as it is."""

    data: str | None
    errors: Any
    is_stored = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.type = "PasswordField"

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Note only whether there is a value, and take the text that was sent."""
        self.is_stored = data is not unset_value and data is not None
        if self.is_stored:
            self.flags.required = False
        super().process(formdata, data, extra_filters)

    def process_data(self, value: Any) -> None:
        """Nothing of what is stored is kept."""
        self.object_data = None
        self.data = None

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Take the text that was sent, unless it is empty."""
        text = valuelist[0] if valuelist else None
        if text is not None and not isinstance(text, str):
            raise ValueError(self.gettext("Not a valid text."))
        self.data = text or None

    @property
    def keeps(self) -> bool:
        """Whether there is a secret, and it stays as it is."""
        return self.is_stored and self.data is None

    def validate(self, form: Any, extra_validators: Any = ()) -> bool:
        """Nothing is asked of what stays as it is."""
        if self.keeps and not self.process_errors:
            self.errors = []
            return True
        return bool(super().validate(form, extra_validators))

    def populate_obj(self, obj: Any, name: str) -> None:
        """Set the secret, if one was typed."""
        if self.data is not None:
            setattr(obj, name, self.data)
