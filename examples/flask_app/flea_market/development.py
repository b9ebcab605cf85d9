"""What only a developer sees: Flask-DebugToolbar, with what each page asks of the databases."""

from __future__ import annotations

from flask import Flask, Response

_SCRIPTS_OF_THE_TOOLBAR = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'"
)


def prepare(app: Flask) -> None:
    """Add the toolbar where ``DEBUG_TB_ENABLED`` says so: nothing of it is loaded elsewhere."""
    if not app.config["DEBUG_TB_ENABLED"]:
        return
    from flask_debugtoolbar import DebugToolbarExtension

    app.config.from_mapping(
        DEBUG_TB_PANELS=["datalayer.contrib.flask.debug_panel.MongoDebugPanel"],
        DEBUG_TB_INTERCEPT_REDIRECTS=False,
    )
    DebugToolbarExtension(app)
    app.after_request(_allow_the_toolbar)


def _allow_the_toolbar(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _SCRIPTS_OF_THE_TOOLBAR
    return response
