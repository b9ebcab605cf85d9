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
``authorisation_cache`` remembers who may see them, ``command`` is ``flask datalayer``, and
``sessions`` is for session interfaces of other extensions.
"""

from __future__ import annotations

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

__all__ = [
    "DataLayer",
    "LazySessionInterface",
    "health_blueprint",
    "needs_no_database",
    "remembered",
    "settings_from",
]
