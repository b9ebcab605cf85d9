"""A Celery application that connects when it is imported, before its workers are forked.

Its messages and results are files in ``CELERY_DIRECTORY``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import deeds
from celery import Celery

from datalayer import db

FILES = Path(os.environ["CELERY_DIRECTORY"])

app = Celery(broker="filesystem://", backend=f"file://{FILES}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{FILES}/messages",
    "data_folder_out": f"{FILES}/messages",
    "control_folder": f"{FILES}/control",
}
app.conf.broker_connection_retry_on_startup = False

db.connect_all()


@app.task(name="work")
def work() -> dict[str, Any]:
    return deeds.work()
