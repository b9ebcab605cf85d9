"""A Celery application whose messages and results are files in ``CELERY_DIRECTORY``."""

from __future__ import annotations

import os

from celery import Celery

FILES = os.environ["CELERY_DIRECTORY"]

app = Celery(broker="filesystem://", backend=f"file://{FILES}/results")
app.conf.broker_connection_retry_on_startup = False
app.conf.broker_transport_options = {
    "data_folder_in": f"{FILES}/messages",
    "data_folder_out": f"{FILES}/messages",
    "control_folder": f"{FILES}/control",
}
