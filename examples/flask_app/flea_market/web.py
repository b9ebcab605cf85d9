"""What all pages share: ids in addresses, pages of a list, errors, and headers that protect."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from bson import ObjectId
from flask import (
    Flask,
    Response,
    abort,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    session,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from datalayer.contrib.flask import CursorPagination, Pagination
from datalayer.documents import QuerySet, ValidationError
from flea_market.forms import errors_of

_PAGE = 24
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
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
    app.add_template_filter(money)
    app.add_template_filter(when)


def done(page: str, said: str | None = None, **document: Any) -> ResponseReturnValue:
    """After something was made: a JSON document for those who sent one, else the next page,
    which says so."""
    if request.is_json:
        return document, 201
    if said:
        flash(said)
    return redirect(page, 303)


def page_of(found: QuerySet[Any]) -> Pagination[Any]:
    """The page of ``found`` that ``?page=`` asks for; 404 for one that isn't there.

    Skipping costs the server what it skips. What grows for ever goes by cursor: see one's
    payments, and the messages of a chat.
    """
    return found.paginate(request.args.get("page", 1), _PAGE)


def page_by_key(found: QuerySet[Any]) -> CursorPagination[Any]:
    """The page of ``found`` that ``?cursor=`` asks for; 404 for one that the application didn't
    make."""
    key = current_app.secret_key
    return found.paginate_after(request.args.get("cursor"), _PAGE, secret_key=key)


def money(amount: Decimal) -> str:
    """As 1,234.50; the places are those of the currency already."""
    return f"{amount:,}"


def when(moment: datetime) -> str:
    """As 5 May 2026, 14:05 CEST: in the time zone of the machine (``TZ``), by its name."""
    local = moment.astimezone()
    return f"{local.day} {local:%B %Y, %H:%M %Z}"


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
    if session and request.endpoint != "static":
        # After signing out, the back button shows nobody what was there.
        response.headers["Cache-Control"] = "no-store"
    return response


def _show_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None and error.code != 503:
        return error
    code, name = error.code or 500, error.name
    message = str(error.description)
    if code == 503:
        name = "One moment, please"
        message = "The database is busy changing over. Please try again in a moment."
    if request.is_json:
        return jsonify(error=message), code
    return render_template("error.html", name=name, message=message), code


def _show_invalid(error: ValidationError) -> ResponseReturnValue:
    """What no form has shown beside a field: a cursor that somebody made up, say."""

    def raise_again() -> None:
        raise error

    problems = errors_of(raise_again)
    if request.is_json:
        return jsonify(error=problems), 400
    message = " ".join(problems.values())
    return render_template("error.html", name="Bad request", message=message), 400
