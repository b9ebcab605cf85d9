"""A WSGI application that leaves connecting to the hooks of its server; it connects when it is
imported where CONNECT_AT_IMPORT is set. It holds back what ``/held`` answers until there is the
file named by HELD_UNTIL."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
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


def held() -> dict[str, Any]:
    """Work that takes as long as somebody wants."""
    report = work()
    print("holds an answer", flush=True)
    while not Path(os.environ["HELD_UNTIL"]).exists():
        time.sleep(0.01)
    return report


def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/away":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        raise UnavailableError("away")
    report = {"/state": state, "/work": work, "/held": held}[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "application/json")])
    yield json.dumps(report).encode()


application = HealthMiddleware(respond, handle_errors=True)
