"""A WSGI application that connects when it is imported, as applications do: with ``--preload``
and under uWSGI, that is before the workers are forked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from deeds import Deed, work

from datalayer import db

db.connect_all()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/work`` stores documents; ``/slow`` asks for something that takes the server a while."""
    if environ["PATH_INFO"] == "/slow":
        found = Deed.objects(__raw__={"$where": "sleep(200) || true"})
        report: dict[str, Any] = {"found": len(list(found))}
    else:
        report = work()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(report).encode()]
