"""``/metrics``, for Prometheus: how the databases are, while they are away, too."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from datalayer.contrib import prometheus
from datalayer.contrib.django import needs_no_database


@needs_no_database
def show(request: HttpRequest) -> HttpResponse:
    """The figures. Where METRICS_TOKEN is set, for those who bring it as ``Bearer``."""
    token = settings.METRICS_TOKEN
    brought = request.headers.get("Authorization", "")
    if token and not secrets.compare_digest(brought.encode(), f"Bearer {token}".encode()):
        return HttpResponse("The token is missing or wrong.", status=401)
    figures = generate_latest(prometheus.registry_to_scrape())
    return HttpResponse(figures, content_type=CONTENT_TYPE_LATEST)
