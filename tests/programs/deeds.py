"""What each process of the fork tests does: it stores documents, and tells which and how."""

from __future__ import annotations

import os
from typing import Any

from mongoengine.fields import IntField

from datalayer import AnalyticsDocument, BusinessDocument, db


class Deed(BusinessDocument):
    worker = IntField()
    meta = {"collection": "deeds"}


class Trace(AnalyticsDocument):
    worker = IntField()
    meta = {"collection": "traces"}


def work(count: int = 3) -> dict[str, Any]:
    """Store ``count`` documents in each database; the report is JSON-ready.

    The server numbers its connections, so two processes that tell the same number of one share
    a socket.
    """
    pid = os.getpid()
    documents = [model(worker=pid).save() for model in (Deed, Trace) for _ in range(count)]
    return {
        "pid": pid,
        "ids": [str(document.pk) for document in documents],
        "connections": [
            service.client.admin.command("hello")["connectionId"]
            for service in (db.database, db.database1)
        ],
    }
