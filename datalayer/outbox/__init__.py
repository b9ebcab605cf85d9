"""The transactional outbox: documents for another database are written down inside a business
transaction, and delivered afterwards exactly once, in order, through crashes of either side.

``enqueue`` is how a document gets in, ``entries`` how it is stored there, ``databases`` in which
databases of a server, ``lag`` how much waits.
``relay`` says who delivers, ``delivery`` how: read in ``batches``, in ``stream_order``, written at
the target by ``inbox``. Of what fails, ``backoff`` says when it is tried again, ``log_messages``
what the log says, ``dead_letters`` what a person does about it.
"""

from __future__ import annotations

from datalayer.outbox.delivery import Delivered
from datalayer.outbox.enqueue import add
from datalayer.outbox.lag import Waiting, waiting
from datalayer.outbox.relay import deliver, running, start, stop

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
