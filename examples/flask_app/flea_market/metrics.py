"""``/metrics``, for Prometheus: how the databases are, while they are away, too."""

from __future__ import annotations

import secrets
from typing import cast

from flask import Blueprint, Response, abort, current_app, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from datalayer.contrib import prometheus
from datalayer.contrib.flask import needs_no_database

blueprint = Blueprint("metrics", __name__)


@blueprint.record_once
def register(_: object) -> None:
    prometheus.register()


@blueprint.get("/metrics")
@needs_no_database
def show() -> Response:
    """The figures. Where METRICS_TOKEN is set, for those who bring it as ``Bearer``."""
    token = cast("str | None", current_app.config["METRICS_TOKEN"])
    brought = request.headers.get("Authorization", "")
    if token and not secrets.compare_digest(brought.encode(), f"Bearer {token}".encode()):
        abort(401, "The token is missing or wrong.")
    figures = generate_latest(prometheus.registry_to_scrape())
    return Response(figures, content_type=CONTENT_TYPE_LATEST)
