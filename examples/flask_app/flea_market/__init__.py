"""A flea market: people nearby, what they offer, chats about it, and payments.

The application factory. Each topic is a blueprint in a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from datalayer.contrib.flask import DataLayer, ServerSessionInterface, health_blueprint
from flea_market import (
    accounts,
    chats,
    development,
    metrics,
    offers,
    payments,
    people,
    visits,
    web,
)

__all__ = ["create_app", "datalayer"]

datalayer = DataLayer(session=True, handle_errors=True)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application. Its settings come from ``config``, else from variables that begin with
    ``FLEA_MARKET_``; those of the databases from ``config``, the environment or ``.env``."""
    app = Flask(__name__)
    app.config.from_mapping(
        ADMINS=[],  # the addresses of those who see the status page
        DATALAYER_MIGRATIONS="flea_market.migrations",
        DEBUG_TB_ENABLED=False,  # the developer's toolbar: never where strangers come
        METRICS_TOKEN=None,  # what Prometheus has to bring to see /metrics
        MAX_CONTENT_LENGTH=64 * 1024,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_ENABLED=False,  # web.refuse_other_sites needs no tokens
        SESSION_COOKIE_SECURE=False,  # FLEA_MARKET_SESSION_COOKIE_SECURE=true behind HTTPS
    )
    app.config.from_prefixed_env("FLEA_MARKET")
    app.config.from_mapping(config or {})
    if not app.config["SECRET_KEY"]:
        raise RuntimeError("set FLEA_MARKET_SECRET_KEY, the same for all workers")

    datalayer.init_app(app)
    # With the business data, which nobody can see who isn't signed in; who signs out is out.
    app.session_interface = ServerSessionInterface(alias="default")
    web.prepare(app)
    visits.prepare(app)
    development.prepare(app)
    for module in (accounts, people, offers, chats, payments, visits, metrics):
        app.register_blueprint(module.blueprint)
    app.register_blueprint(health_blueprint(authorise=accounts.is_admin))
    return app
