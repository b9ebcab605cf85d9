"""The tasks of Celery's workers, which datalayer's hooks connect."""

from __future__ import annotations

import os
import signal
from typing import Any

import served_application
from celery_messages import app

from datalayer.contrib import celery as datalayer_celery

datalayer_celery.install()


@app.task(name="work")
def work() -> dict[str, Any]:
    return {**served_application.work(), **served_application.state()}


@app.task(name="die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
