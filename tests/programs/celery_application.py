"""The tasks of Celery's workers; connects when it is imported, before the workers are forked."""

from __future__ import annotations

from typing import Any

import deeds
from celery_messages import app

from datalayer import db

db.connect_all()


@app.task(name="work")
def work() -> dict[str, Any]:
    return deeds.work()
