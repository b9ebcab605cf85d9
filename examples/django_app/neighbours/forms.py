"""What visitors may send. The documents check again, and keep the rules that need the database."""

from __future__ import annotations

from decimal import Decimal

from django import forms


class SignUp(forms.Form):
    email = forms.EmailField(max_length=254)
    display_name = forms.CharField(max_length=80)
    password = forms.CharField(min_length=8, max_length=1024, widget=forms.PasswordInput)


class LogIn(forms.Form):
    email = forms.CharField(max_length=254)
    password = forms.CharField(max_length=1024, widget=forms.PasswordInput)


class EditProfile(forms.Form):
    display_name = forms.CharField(max_length=80)
    about = forms.CharField(max_length=2000, required=False, widget=forms.Textarea)
    longitude = forms.FloatField(min_value=-180, max_value=180, required=False)
    latitude = forms.FloatField(min_value=-90, max_value=90, required=False)

    def clean(self) -> dict[str, object]:
        found: dict[str, object] = super().clean()
        if (found.get("longitude") is None) != (found.get("latitude") is None):
            raise forms.ValidationError("Longitude and latitude go together.")
        return found


class Nearby(forms.Form):
    longitude = forms.FloatField(min_value=-180, max_value=180)
    latitude = forms.FloatField(min_value=-90, max_value=90)
    kilometres = forms.FloatField(min_value=0.1, max_value=1000, initial=5)


class Offer(forms.Form):
    title = forms.CharField(max_length=140)
    category = forms.CharField(max_length=60)
    body = forms.CharField(max_length=10_000, widget=forms.Textarea, label="Description")
    price = forms.DecimalField(
        min_value=Decimal("0.01"), max_digits=12, decimal_places=2, label="Price (EUR)"
    )


class Message(forms.Form):
    text = forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class Payment(forms.Form):
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
