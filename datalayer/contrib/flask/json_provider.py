"""Lets an application's JSON hold documents, querysets and pages, beside what it holds already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

Default = Callable[[Any], Any]


def add_documents(app: Flask) -> None:
    """Add them to what ``app.json`` shows: the provider stays, and gets a further ``default``.

    Before what Flask's own does, which shows times as in headers; after what a provider of the
    application's own does, whose forms go first. A provider without a ``default`` stays as it is.
    """
    chosen = app.json_provider_class
    if type(app.json) is DefaultJSONProvider and chosen is not DefaultJSONProvider:
        # As with flask-mongoengine, a class may have been named after the application was made.
        app.json = chosen(app)
    provider: Any = app.json
    theirs: Default | None = getattr(provider, "default", None)
    if theirs is None:
        return
    is_flask_own = theirs is DefaultJSONProvider.default
    provider.default = _documents_first(theirs) if is_flask_own else _documents_last(theirs)


def _documents_first(theirs: Default) -> Default:
    def default(value: Any) -> Any:
        from datalayer.contrib.json_values import UnknownToJSONError, json_default

        try:
            return json_default(value)
        except UnknownToJSONError:
            return theirs(value)

    return default


def _documents_last(theirs: Default) -> Default:
    def default(value: Any) -> Any:
        from datalayer.contrib.json_values import UnknownToJSONError, json_default

        try:
            return theirs(value)
        except TypeError as refused:
            try:
                return json_default(value)
            except UnknownToJSONError:
                raise refused from None

    return default
