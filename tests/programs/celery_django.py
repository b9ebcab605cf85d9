"""The tasks of a Django project's workers, which datalayer's hooks connect."""

from __future__ import annotations

from typing import Any

from celery_messages import app

from datalayer import db
from datalayer.contrib import celery as datalayer_celery

datalayer_celery.install()


@app.task(name="work")
def work() -> dict[str, Any]:
    from django_site.models import Note

    already = db.database.is_connected
    Note(text="a task's").save()
    return {"connected": already, "database": db.database.name}
