"""A Celery application whose messages and results are files in ``CELERY_DIRECTORY``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES, filesystem

FILES = os.environ["CELERY_DIRECTORY"]


class Channel(filesystem.Channel):
    """Publishes a message when it is written: a reader that finds it half written ends."""

    def _put(self, queue: str, payload: Any, **options: Any) -> None:
        draft = Path(FILES) / f"draft-{os.getpid()}"
        draft.mkdir(exist_ok=True)
        self.data_folder_out = str(draft)
        super()._put(queue, payload, **options)
        for message in draft.iterdir():
            message.replace(Path(FILES) / "messages" / message.name)


class Transport(filesystem.Transport):
    Channel = Channel


TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
app = Celery(broker="filesystem://", backend=f"file://{FILES}/results")
app.conf.broker_connection_retry_on_startup = False
app.conf.broker_transport_options = {
    "data_folder_in": f"{FILES}/messages",
    "control_folder": f"{FILES}/control",
    "polling_interval": 0.05,  # seconds; a second is the default
}
