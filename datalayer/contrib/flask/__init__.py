"""Flask: one extension that connects the databases, and options for what else an application
wants of them.

    from datalayer.contrib.flask import DataLayer

    datalayer = DataLayer()


    def create_app():
        app = Flask(__name__)
        datalayer.init_app(app)
        return app

``extension`` connects around requests, ``settings`` reads ``app.config`` (``mongodb_settings``
what Flask-MongoEngine had there), ``error_handlers`` answers 503, ``health`` has the endpoints,
``authorisation_cache`` remembers who may see them, ``command`` is ``flask datalayer``, ``forms``
makes forms of models, ``sessions`` keeps sessions in a database, ``mongoengine_names`` is what
``db.Document`` and its like stand for, ``json_provider`` lets JSON hold documents, and
``template_helpers`` links pages.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import flask as _flask  # noqa: F401 - asked for here, to tell what is missing
except ImportError as exc:
    raise ImportError(
        'datalayer.contrib.flask needs Flask: pip install "mongoengine-datalayer[flask]"'
    ) from exc

from datalayer.contrib.connecting import needs_no_database
from datalayer.contrib.flask.authorisation_cache import remembered
from datalayer.contrib.flask.extension import DataLayer
from datalayer.contrib.flask.health import health_blueprint
from datalayer.contrib.flask.sessions import LazySessionInterface
from datalayer.contrib.flask.settings import settings_from

if TYPE_CHECKING:
    from datalayer.contrib.flask.forms import ModelForm, model_form
    from datalayer.contrib.flask.sessions.interface import (
        ServerSessionInterface,
        regenerate_session,
    )
    from datalayer.contrib.json_values import json_default
    from datalayer.documents.querysets.pages.keyset import CursorPagination
    from datalayer.documents.querysets.pages.numbered import ListFieldPagination, Pagination

__all__ = [
    "CursorPagination",
    "DataLayer",
    "LazySessionInterface",
    "ListFieldPagination",
    "ModelForm",
    "Pagination",
    "ServerSessionInterface",
    "health_blueprint",
    "json_default",
    "model_form",
    "needs_no_database",
    "regenerate_session",
    "remembered",
    "settings_from",
]

# Imported at the first use: not every application has them.
_HOMES = {
    "ModelForm": "datalayer.contrib.flask.forms",
    "model_form": "datalayer.contrib.flask.forms",
    "CursorPagination": "datalayer.documents.querysets.pages.keyset",
    "ListFieldPagination": "datalayer.documents.querysets.pages.numbered",
    "Pagination": "datalayer.documents.querysets.pages.numbered",
    "ServerSessionInterface": "datalayer.contrib.flask.sessions.interface",
    "json_default": "datalayer.contrib.json_values",
    "regenerate_session": "datalayer.contrib.flask.sessions.interface",
}


if not TYPE_CHECKING:  # else each name would be one of ours to a type checker

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
