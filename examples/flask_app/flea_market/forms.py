"""Forms: what a request brings, as a form's fields or as a JSON object, and the same page again
with what is wrong beside each field.

The models say what fits. What is here makes their answers fit for people.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, cast

from bson import ObjectId
from flask import abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from datalayer import BusinessDocument
from datalayer.documents import ValidationError

Errors = Mapping[str, str]

GENERAL = "__all__"
"""Stands in the place of a field's name where no single field is to blame."""

_PLAIN = {
    "Field is required": "Please fill this in.",
    "String value is too long": "This is too long.",
    "Decimal value is too small": "This is too little.",
}
_AMOUNT = re.compile(r"[0-9]{1,12}(?:[.,][0-9]{1,2})?")


def given() -> Mapping[str, Any]:
    """What the request brings: a form's fields, or a JSON object's."""
    if not request.is_json:
        return {name: _tidy(value) for name, value in request.form.items()}
    document: Any = request.get_json()
    if not isinstance(document, dict):
        abort(400, "Send a JSON object.")
    return cast("Mapping[str, Any]", document)


def text(name: str) -> str:
    """One text that the request brings; never a mapping, which a query could take for more."""
    value = given().get(name) or ""
    if not isinstance(value, str):
        abort(400, f"{name} must be a text.")
    return value


def secret(name: str) -> str:
    """A password: exactly as it was typed, blanks and all."""
    return text(name) if request.is_json else request.form.get(name, "")


def number(name: str, lowest: float, highest: float) -> float | None:
    """A number from the form, the JSON object or the query string, if there is one.

    Raises:
        ValidationError: for what is no number between the two.
    """
    value = (request.args if request.method == "GET" else given()).get(name)
    if value in (None, ""):
        return None
    try:
        found = float(str(value).strip().replace(",", "."))
    except ValueError:
        found = math.nan
    if not lowest <= found <= highest:
        raise ValidationError(f"a number from {lowest:g} to {highest:g}", field_name=name)
    return found


def place() -> list[float] | None:
    """Longitude and latitude: both, or neither.

    Raises:
        ValidationError: for one without the other, and for what is no place on earth.
    """
    longitude, latitude = number("longitude", -180, 180), number("latitude", -90, 90)
    if longitude is None and latitude is None:
        return None
    if longitude is None or latitude is None:
        missing = "longitude" if longitude is None else "latitude"
        raise ValidationError("longitude and latitude go together", field_name=missing)
    return [longitude, latitude]


def amount(name: str) -> Decimal | None:
    """An amount of money, written as 12.50 or as 12,50, if there is one.

    Raises:
        ValidationError: for anything else; 1,234 could be two amounts, so it is none.
    """
    value = given().get(name)
    if value is None:
        return None
    written = str(value)
    if not _AMOUNT.fullmatch(written):
        raise ValidationError(
            "write an amount as 12.50 or 12,50, without a sign for thousands", field_name=name
        )
    return Decimal(written.replace(",", "."))


def form_id() -> ObjectId:
    """The id of what a form makes, which was chosen when the form was shown: however often it is
    sent, it makes one thing."""
    key = text("form_id")
    return ObjectId(key) if ObjectId.is_valid(key) else ObjectId()


def taking(document: BusinessDocument, *names: str) -> Iterator[Callable[[], object]]:
    """For ``errors_of``: set these fields to what the request brings, and no others, whatever
    else it brings."""
    for name in names:
        yield partial(document.update_from_input, given(), allow=[name])


def errors_of(*checks: Callable[[], object]) -> dict[str, str]:
    """What the checks complain about, by field: all of it, so that nobody corrects one field
    after the other. Empty where everything fits."""
    found: dict[str, str] = {}
    for check in checks:
        try:
            check()
        except ValidationError as error:
            problems = error.to_dict() or {error.field_name or GENERAL: error.message}
            for name, problem in problems.items():
                found.setdefault(name, _for_people(problem))
    return found


def again(template: str, errors: Errors, code: int = 400, **context: Any) -> ResponseReturnValue:
    """The form once more, with what was typed and what is wrong with it; or that as JSON."""
    if request.is_json:
        return jsonify(error=errors), code
    sent = request.args if request.method == "GET" else request.form
    first = next((name for name in sent if name in errors), None)
    page = render_template(template, values=sent, errors=errors, first=first, **context)
    return page, code


def _tidy(value: str) -> str | None:
    # Browsers send line breaks as two characters, and count them as one.
    return value.replace("\r\n", "\n").strip() or None


def _for_people(problem: object) -> str:
    said = str(problem)
    return _PLAIN.get(said) or f"{said[:1].upper()}{said[1:]}."
