"""``/metrics``, for Prometheus: how the databases are, while they are away, too."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from datalayer.contrib.django import needs_no_database


@needs_no_database
def show(request: HttpRequest) -> HttpResponse:
    """The figures. Where METRICS_TOKEN is set, for those who bring it as ``Bearer``."""
    token = settings.METRICS_TOKEN
    brought = request.headers.get("Authorization", "")
    if token and not secrets.compare_digest(brought.encode(), f"Bearer {token}".encode()):
        return HttpResponse("The token is missing or wrong.", status=401)
    return HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    """That of this process; or of all workers, where they share a directory for it."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    register_with: Callable[[CollectorRegistry], object] = MultiProcessCollector
    register_with(registry)
    return registry
