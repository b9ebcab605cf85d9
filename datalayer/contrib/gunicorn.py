"""Hooks for ``gunicorn.conf.py``: connect in each worker at its start, close at its end.

from datalayer.contrib.gunicorn import post_worker_init, worker_exit

Where there is no such file: ``gunicorn --config python:datalayer.contrib.gunicorn``. So no name
here may be one of gunicorn's settings, but for the hooks.

With ``worker_class = "gevent"`` the workers patch the standard library, after this module was
imported: so it imports the driver and all that uses it only when a hook is called.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["post_worker_init", "worker_exit"]


def post_worker_init(worker: Any) -> None:
    """Connect, when the application is loaded and before the first request.

    A worker that can't connect a required database fails to boot, after the retries that the
    settings allow: gunicorn logs the error and ends with exit code 3, as it does for an
    application that can't be loaded (with 1 when another worker fails while it ends). With
    ``--preload`` and an application that connects when it is imported, that happens in the
    master, and a worker only opens its own pools.
    """
    from datalayer.contrib import workers

    workers.connect()
    if worker.age == 1:  # one of them is enough
        workers.check_pool_budget(worker.cfg.workers)


def worker_exit(_server: Any, worker: Any) -> None:
    """Store what the recorder holds and close the connections, when the last request is done."""
    if worker.pid == os.getpid():  # the master calls it too, for a worker that is gone
        from datalayer.contrib import workers

        workers.disconnect()
