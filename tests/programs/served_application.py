"""A WSGI application that leaves connecting to the hooks of its server; it connects when it is
imported where CONNECT_AT_IMPORT is set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from bson import ObjectId
from deeds import Deed, Trace

from datalayer import db, recorder
from datalayer.contrib.wsgi import HealthMiddleware
from datalayer.errors import UnavailableError

if os.environ.get("CONNECT_AT_IMPORT"):
    db.connect_all()


def state() -> dict[str, Any]:
    """What there is in this process, without asking a server."""
    services = (db.database, db.database1)
    pools = [service.status_unasked(None)["pool"] for service in services]
    return {"pid": os.getpid(), "open": [pool["open"] for pool in pools]}


def work() -> dict[str, Any]:
    """Write a document, and record an event."""
    deed = Deed(worker=os.getpid()).save()
    event = ObjectId()
    recorder.record({"_id": event, "worker": os.getpid()}, Trace)
    return {"pid": os.getpid(), "deed": str(deed.pk), "event": str(event)}


def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/away":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        raise UnavailableError("away")
    report = {"/state": state, "/work": work}[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "application/json")])
    yield json.dumps(report).encode()


application = HealthMiddleware(respond, handle_errors=True)
