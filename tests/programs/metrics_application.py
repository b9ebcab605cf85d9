"""A WSGI application whose processes share their metrics: ``/work`` asks the database, and
``/metrics`` tells the sums of all processes."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.contrib import prometheus

INTERVAL_SECONDS = 0.2

try:
    from uwsgidecorators import postfork
except ImportError:
    # Before connecting, so that the databases are closed before the last figures are written.
    prometheus.register(interval_seconds=INTERVAL_SECONDS)
else:

    @postfork  # type: ignore[untyped-decorator]
    def register() -> None:
        prometheus.register(interval_seconds=INTERVAL_SECONDS)


db.connect_all()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    report = sums() if environ["PATH_INFO"] == "/metrics" else work()
    return [json.dumps(report).encode()]


def work() -> dict[str, int]:
    """One command that fails, which nothing else here does."""
    with contextlib.suppress(OperationFailure):
        db.database.client.admin.command("noSuchCommand")
    return {"pid": os.getpid()}


def sums() -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    while True:
        with contextlib.suppress(struct.error):  # another process makes a file: it's still empty
            return {
                ",".join(
                    [sample.name, *(value for _, value in sorted(sample.labels.items()))]
                ): sample.value
                for family in registry.collect()
                for sample in family.samples
            }
