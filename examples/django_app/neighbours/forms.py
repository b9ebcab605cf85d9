"""What visitors may send. The documents check again, and keep the rules that need the database."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from bson import ObjectId
from django import forms

from datalayer.contrib.django.forms import DocumentForm
from neighbours.models import Profile


def _text(autocomplete: str = "off", **attributes: Any) -> forms.TextInput:
    return forms.TextInput({"autocomplete": autocomplete, **attributes})


def _area(rows: int) -> forms.Textarea:
    return forms.Textarea({"rows": rows, "autocomplete": "off"})


class Form(forms.Form):
    """A form that comes back with the cursor in the first field that is wrong.

    Django itself says beside each field what is wrong with it, and ties the two together for
    screen readers (``aria-describedby``, ``aria-invalid``).
    """

    def get_context(self) -> dict[str, Any]:
        wrong = [field for field in self.visible_fields() if field.errors]
        for field in wrong[:1]:
            field.field.widget.attrs["autofocus"] = True
        found: dict[str, Any] = super().get_context()
        return found


class TextField(forms.CharField):
    """Text of several lines. Browsers send a line's end as two characters and count it as one."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\r\n", "\n") if value else value)


class NumberField(forms.FloatField):
    """A number, with a point or with a comma."""

    widget = _text(maxlength=20)

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace(",", ".") if isinstance(value, str) else value)


class AmountField(forms.DecimalField):
    """An amount of money, as 12.50 or 12,50; 1,234 could be two amounts, so it is none."""

    widget = _text(inputmode="decimal", maxlength=15)
    default_error_messages = {
        "invalid": "Write an amount as 12.50 or 12,50, without a sign for thousands."
    }

    def to_python(self, value: Any) -> Any:
        if value and not re.fullmatch(r"[0-9]+(?:[.,][0-9]{1,2})?", value.strip()):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value.replace(",", ".") if value else value)


class SignUp(Form):
    display_name = forms.CharField(
        max_length=80, label="Name", help_text="As others will see it.", widget=_text("name")
    )
    email = forms.EmailField(
        max_length=254, label="E-mail", widget=forms.EmailInput({"autocomplete": "email"})
    )
    password = forms.CharField(
        min_length=8,
        max_length=1024,
        strip=False,
        help_text="8 characters at least.",
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class LogIn(Form):
    email = forms.CharField(
        max_length=254, label="E-mail", widget=forms.EmailInput({"autocomplete": "username"})
    )
    password = forms.CharField(
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )


class EditProfile(Form, DocumentForm):
    """Two fields of the document, which says how long they may be; its place as two numbers."""

    longitude = NumberField(
        min_value=-180,
        max_value=180,
        required=False,
        help_text="In degrees; west is less than 0. Others find you by it, and don't see it.",
    )
    latitude = NumberField(
        min_value=-90, max_value=90, required=False, help_text="South is less than 0."
    )
    field_order = ("display_name", "about", "longitude", "latitude")

    class Meta:  # noqa: D106 - Django's
        document = Profile
        fields = ("display_name", "about")
        field_classes = {"about": TextField}
        labels = {"display_name": "Name", "about": "About you"}
        widgets = {"display_name": _text("name"), "about": _area(4)}

    def clean(self) -> dict[str, object]:
        found: dict[str, object] = super().clean() or {}
        for one, other in (("longitude", "latitude"), ("latitude", "longitude")):
            if found.get(one) is None and found.get(other) is not None and one not in self.errors:
                self.add_error(one, "Longitude and latitude go together.")
        return found


class Nearby(Form):
    longitude = NumberField(min_value=-180, max_value=180)
    latitude = NumberField(min_value=-90, max_value=90)
    kilometres = NumberField(min_value=0.1, max_value=1000, initial=5)


class OnceForm(Form):
    """Carries the id of what it makes: sent twice, it makes one."""

    key = forms.RegexField("^[0-9a-f]{24}$", required=False, widget=forms.HiddenInput)

    def clean_key(self) -> ObjectId:
        return ObjectId(self.cleaned_data["key"] or None)


class Offer(OnceForm):
    title = forms.CharField(max_length=140, widget=_text())
    category = forms.CharField(
        max_length=60, help_text="One word or two, for instance: bicycles.", widget=_text()
    )
    body = TextField(max_length=10_000, widget=_area(6), label="Description")
    price = AmountField(
        min_value=Decimal("0.01"), max_digits=12, decimal_places=2, label="Price in EUR"
    )


class Message(OnceForm):
    text = TextField(max_length=4000, label="Your message", widget=_area(3))


class Payment(Form):
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
