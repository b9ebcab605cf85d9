"""Links to pages, for templates: ``page_links`` and ``page_url``."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Flask, current_app, request
from jinja2 import Environment
from jinja2.ext import Extension
from markupsafe import Markup

_ITEM = Markup("<li>{}</li>")
_LINK = Markup('<a{} href="{}">{}</a>')
_PLAIN = Markup()
_PREVIOUS, _NEXT = Markup(' rel="prev"'), Markup(' rel="next"')
_PRESENT = Markup(' aria-current="page"')
_LEFT_OUT = Markup("<li><span>…</span></li>")
_NAV = Markup('<nav class="pagination" aria-label="{}"><ul>{}</ul></nav>')


def page_url(
    page: int | str, endpoint: str | None = None, *, parameter: str = "page", **values: Any
) -> str:
    """The address of another page: of the present request, with all of its query, unless
    ``endpoint`` or ``values`` say otherwise.

    ``parameter`` is what the view takes the page, or its cursor, by: in the route, or in the
    query.
    """
    is_here = endpoint is None or endpoint == request.endpoint
    in_route = {**(request.view_args or {}), **values} if is_here else values
    in_route[parameter] = page
    address = current_app.url_for(endpoint or request.endpoint or "", **in_route)
    # What the query holds is not given to url_for(), which would obey a _scheme in it.
    kept = [
        (name, value) for name, value in request.args.items(multi=True) if name not in in_route
    ]
    if not kept or not is_here:
        return address
    return f"{address}{'&' if '?' in address else '?'}{urlencode(kept)}"


def page_links(
    pagination: Any,
    endpoint: str | None = None,
    *,
    parameter: str | None = None,
    label: str = "Pages",
    previous: str = "Previous",
    next: str = "Next",
    **values: Any,
) -> Markup:
    """Links to the pages beside this one, as a list inside ``<nav class="pagination">``; nothing
    where there is only one.

    ``label``, ``previous`` and ``next`` are what it says, for another language; the other
    arguments are those of ``page_url``. ``parameter`` is ``page``, and ``cursor`` for pages by
    key. A page's number that is left out stands as an ellipsis.
    """
    is_numbered = hasattr(pagination, "iter_pages")
    if parameter is None:
        parameter = "page" if is_numbered else "cursor"

    def link(page: int | str, text: Any, attributes: Markup = _PLAIN) -> Markup:
        url = page_url(page, endpoint, parameter=parameter, **values)
        return _ITEM.format(_LINK.format(attributes, url, text))

    if is_numbered:
        before = pagination.prev_num if pagination.has_prev else None
        after = pagination.next_num if pagination.has_next else None
    else:
        before, after = pagination.previous, pagination.next
    items = [link(before, previous, _PREVIOUS)] if before else []
    if is_numbered:
        items += [
            _LEFT_OUT
            if number is None
            else link(number, number, _PRESENT if number == pagination.page else _PLAIN)
            for number in pagination.iter_pages()
        ]
    items += [link(after, next, _NEXT)] if after else []
    return _NAV.format(label, Markup().join(items)) if before or after else Markup()


def add_page_links(app: Flask) -> None:
    """Let the templates of ``app`` call both, also inside macros that they import. Its templates
    are not set up for it, so that they may be configured later still."""
    if "jinja_env" in vars(app):
        app.jinja_env.add_extension(PageLinks)
    else:
        extensions = [*app.jinja_options.get("extensions", ()), PageLinks]
        app.jinja_options = {**app.jinja_options, "extensions": extensions}


class PageLinks(Extension):
    """Both, for an environment of Jinja."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals.setdefault("page_links", page_links)
        environment.globals.setdefault("page_url", page_url)
