"""The transactional outbox: documents for another database are written down inside a business
transaction, and delivered afterwards exactly once, in order, through crashes of either side."""

from __future__ import annotations

from datalayer.outbox.adding import add
from datalayer.outbox.delivery import Delivered, deliver
from datalayer.outbox.relay import running, start, stop
from datalayer.outbox.waiting import Waiting, waiting

__all__ = [
    "Delivered",
    "Waiting",
    "add",
    "deliver",
    "running",
    "start",
    "stop",
    "waiting",
]
