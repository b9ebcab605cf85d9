"""Flask-DebugToolbar: a panel that tells which commands a request has sent to the databases, how
long they took and which lines of the application wanted them.

    app.config["DEBUG_TB_PANELS"] = ["datalayer.contrib.flask.debug_panel.MongoDebugPanel"]
    DebugToolbarExtension(app)

``panel`` is what the toolbar shows, ``recording`` notes a request's commands, ``shapes`` tells
their kind without their values, ``callers`` the line that wanted them, ``findings`` what is
conspicuous (the N+1), and ``explaining`` which index a query uses.
"""

from __future__ import annotations

try:
    import flask_debugtoolbar as _toolbar  # noqa: F401 - asked for here, to tell what is missing
except ImportError as exc:
    raise ImportError(
        "datalayer.contrib.flask.debug_panel needs Flask-DebugToolbar: "
        'pip install "mongoengine-datalayer[debug]"'
    ) from exc

from datalayer.contrib.flask.debug_panel.panel import MongoDebugPanel as MongoDebugPanel
