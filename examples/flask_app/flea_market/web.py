"""What all pages share: forms or JSON, errors, and protection against other sites' forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bson import ObjectId
from flask import Flask, Response, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from mongoengine.errors import ValidationError
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class ObjectIdConverter(BaseConverter):
    """``<id:key>`` in a route; anything else in its place is a page that isn't there."""

    regex = "[0-9a-f]{24}"

    def to_python(self, value: str) -> ObjectId:
        return ObjectId(value)


def prepare(app: Flask) -> None:
    """Add all this to ``app``."""
    app.url_map.converters["id"] = ObjectIdConverter
    app.before_request(refuse_other_sites)
    app.after_request(_protect)
    app.register_error_handler(HTTPException, _show_error)
    app.register_error_handler(ValidationError, _show_invalid)


def given() -> Mapping[str, Any]:
    """What the request brings: a form's fields, or a JSON object's."""
    if not request.is_json:
        return request.form
    document = request.get_json()
    if not isinstance(document, dict):
        abort(400, "Send a JSON object.")
    return document


def text(name: str) -> str:
    """One text that the request brings; never a mapping, which a query could take for more."""
    value = given().get(name, "")
    if not isinstance(value, str):
        abort(400, f"{name} must be a text.")
    return value


def done(page: str, **document: Any) -> ResponseReturnValue:
    """After something was made: a JSON document for those who sent one, else the next page."""
    return (document, 201) if request.is_json else redirect(page, 303)


def number(name: str, default: float | None = None) -> float:
    """A number from the query string or the form."""
    value = request.values.get(name, default, type=float)
    if value is None or value != value:
        abort(400, f"{name} must be a number.")
    return value


def refuse_other_sites() -> None:
    """Refuse what a browser sends for another site's page.

    Browsers tell it in ``Sec-Fetch-Site``, older ones in ``Origin``; no page can forge these.
    Together with the cookie's ``SameSite=Lax`` that needs no token in any form. What is no
    browser sends neither, and has no visitor's cookie to misuse.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        allowed = origin is None or urlsplit(origin).netloc == request.host
    if not allowed:
        abort(403, "This was sent from another site.")


def _protect(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _show_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None and error.code != 503:
        return error
    code = error.code or 500
    message = (
        "The database is busy changing over. Please try again in a moment."
        if code == 503
        else str(error.description)
    )
    if request.is_json:
        return jsonify(error=message), code
    return render_template("error.html", code=code, message=message), code


def _show_invalid(error: ValidationError) -> ResponseReturnValue:
    problems = error.to_dict() or {error.field_name or "input": error.message}
    if request.is_json:
        return jsonify(error=problems), 400
    message = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    return render_template("error.html", code=400, message=message), 400
