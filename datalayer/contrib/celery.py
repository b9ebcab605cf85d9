"""Connects Celery's workers when they start, closes them when they end, and says which errors of
a task are worth another try.

    from datalayer.contrib import celery as datalayer_celery

    datalayer_celery.install()

    @app.task(**datalayer_celery.RETRIES)
    def count(advertisement_id): ...
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from datalayer.concurrency.greenlets import gevent_of_threads
from datalayer.contrib import workers
from datalayer.errors import AuthenticationError, DataLayerError
from datalayer.web import TEMPORARY_ERRORS

try:
    from celery import signals
except ImportError as exc:
    raise ImportError(
        'datalayer.contrib.celery needs Celery: pip install "mongoengine-datalayer[celery]"'
    ) from exc

__all__ = ["RETRIES", "install"]

logger = logging.getLogger("datalayer.workers")

RETRIES: Mapping[str, Any] = MappingProxyType(
    {
        "autoretry_for": TEMPORARY_ERRORS,
        "dont_autoretry_for": (AuthenticationError,),
        "max_retries": 5,
        "retry_backoff": True,
        "retry_backoff_max": 60,
        "retry_jitter": True,
    }
)
"""Options of a task that may run again: after errors of operations that had no effect, at most 5
times, with pauses of up to 1, 2, 4, 8 and 16 seconds.

The operations before the failed one have had theirs, so this is for tasks that can bear to run
twice, as ``db.retry`` is. ``OutcomeUnknownError`` isn't among the errors.
"""


def install(*, beat: bool = False) -> None:
    """Have the workers of this process connect and disconnect, with any pool.

    The worker connects before it starts its pool, and does not start where a required database
    stays away. The children of the prefork pool inherit that it is connected and open pools of
    their own, without waiting for a database that is away: Celery may kill a child that takes
    over 4 seconds. At their end, what the recorder holds is stored, and connections are closed.

    ``beat`` sends messages only; with ``beat=True`` it connects too, for a scheduler that keeps
    its entries in MongoDB. Calling it again changes nothing.
    """
    _connect_at(signals.worker_init, _connect_or_end)
    _connect_at(signals.worker_process_init, _connect_or_end)
    _connect_at(signals.worker_process_shutdown, _disconnect)
    _connect_at(signals.worker_shutdown, _disconnect)
    if beat:
        _connect_at(signals.beat_init, _connect_or_end)


def _connect_at(signal: Any, receiver: Any) -> None:
    signal.connect(receiver, weak=False, dispatch_uid=f"datalayer.{receiver.__name__}")


def _warn_of_greenlets(worker: object) -> None:
    """Celery patches for these pools where its command is what the process runs."""
    pool = str(getattr(worker, "pool_cls", ""))  # a name, or a class whose module says it
    if gevent_of_threads() is None and ("gevent" in pool or "eventlet" in pool):
        advice = (
            "Celery's pool is one of greenlets and nothing is patched: a task that waits for a "
            "database stops all others; begin the program with `from gevent import monkey; "
            "monkey.patch_all()`, or start it with `celery worker --pool gevent`"
        )
        logger.warning("%s", advice, extra={"event": "unpatched_pool"})


def _connect_or_end(sender: object = None, **_: Any) -> None:
    """Celery would log an error of its signal's receiver and go on."""
    _warn_of_greenlets(sender)
    try:
        workers.connect()
    except DataLayerError as exc:
        logger.critical("%s", exc, extra={"event": "worker_failed", "alias": exc.alias})
        # Goes to standard error, too: Celery has not set up logging at that time.
        raise SystemExit(f"datalayer can't connect this worker: {exc}") from exc


def _disconnect(**_: Any) -> None:
    workers.disconnect()
