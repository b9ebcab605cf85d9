"""A WSGI application for gunicorn's gevent workers, which uses all of datalayer that waits for
others: pools, transactions, the recorder's threads and the outbox's. It connects when it is
imported where CONNECT_AT_IMPORT is set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from bson import ObjectId
from deeds import Deed, Trace

from datalayer import db

if os.environ.get("CONNECT_AT_IMPORT"):
    db.connect_all()


class TakenBackError(Exception):
    """Ends a transaction without its documents."""


def work() -> dict[str, Any]:
    """Write documents with and without a transaction, record an event, and leave one in the
    outbox."""
    db.outbox.start(interval_seconds=0.05)
    alone = Deed(worker=1).save()
    event = ObjectId()
    db.recorder.record({"_id": event, "worker": 2}, Trace)
    with db.deadline(30):
        together, handed_over = work_together()
    try:
        with db.transaction():
            taken_back = Deed(worker=5).save()
            assert Deed.objects(pk=taken_back.pk).count() == 1
            raise TakenBackError
    except TakenBackError:
        assert Deed.objects(pk=taken_back.pk).count() == 0
    assert Deed.objects(pk__in=[alone.pk, together.pk]).count() == 2
    return {
        "pid": os.getpid(),
        "deeds": [str(alone.pk), str(together.pk)],
        "events": [str(event), str(handed_over.pk)],
    }


@db.transactional
def work_together() -> tuple[Deed, Trace]:
    """A document, and another that the outbox is to deliver."""
    handed_over = Trace(worker=4)
    db.outbox.add(handed_over)
    return Deed(worker=3).save(), handed_over


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    report = {"/state": lambda: {"pid": os.getpid()}, "/work": work}[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "application/json")])
    yield json.dumps(report).encode()
