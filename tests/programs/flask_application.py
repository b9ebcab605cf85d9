"""A Flask application for ``flask`` and gunicorn; ``FLASK_TEST_CONNECT`` says when it connects.
``IN_THE_CONFIGURATION`` holds settings that stand nowhere but in ``app.config``, as JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from deeds import Deed, work
from flask import Flask

from datalayer import db, recorder
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer, health_blueprint

datalayer = DataLayer(connect=os.environ.get("FLASK_TEST_CONNECT", "first_request"))


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.update(json.loads(os.environ.get("IN_THE_CONFIGURATION", "{}")))
    datalayer.init_app(app)
    app.register_blueprint(health_blueprint(url_prefix="/health"))

    db.database.on(
        "connected", lambda _: print("connected in", os.getpid(), flush=True, file=sys.stderr)
    )

    @app.get("/work")
    def do_work() -> dict[str, Any]:
        return work()

    @app.get("/record")
    def record() -> dict[str, Any]:
        recorder.record(Deed())
        return {}

    @app.cli.command("count")
    def count() -> None:
        datalayer.connect_now()
        print(Deed.objects.count())

    @app.cli.command("connected")
    def connected() -> None:
        print(registry.aliases(), db.database.is_connected)

    return app
