"""Connects and disconnects twice between two writes of its metrics, and prints what they tell."""

from __future__ import annotations

import contextlib
import json

from metrics_application import sums
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.contrib import prometheus

prometheus.register(interval_seconds=3600)
db.disconnect_all()  # metrics_application has connected
for _ in range(2):
    with db.connected(), contextlib.suppress(OperationFailure):
        db.database.client.admin.command("noSuchCommand")
print(json.dumps(sums()))
