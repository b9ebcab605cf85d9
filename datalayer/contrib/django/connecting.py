"""When a Django process connects: at its first request that may need a database, or when it is
told to. Never in ``ready()``, which every ``manage.py`` command runs, and so do the parents of
runserver's reloader and of gunicorn's workers."""

from __future__ import annotations

import logging

from datalayer import db
from datalayer.concurrency import side_by_side
from datalayer.contents import without_contents
from datalayer.contrib.django.configuration import read_settings
from datalayer.core import registry

__all__ = ["connect", "connect_within", "is_connected"]

logger = logging.getLogger("datalayer.contrib.django")


def is_connected() -> bool:
    """Whether this process has connected; costs nothing. Servers may be away meanwhile."""
    return registry.settings is not None


def connect() -> None:
    """Connect every database of the dict ``DATALAYER``; nothing happens in a process that has.

    Threads that call it at the same time share one run. What was connected before a fork serves
    the child too, with sockets of its own.

    Raises:
        ConfigurationError: for bad settings, all problems at once.
        ConnectError: when a required database stays unreachable.
        IndexBuildError: when a required database's indexes can't be built.
    """
    if not is_connected():
        db.connect_all(read_settings())


def connect_within(seconds: float) -> None:
    """``connect``, for at most ``seconds``; it goes on in the background, and a failure is
    logged."""
    if is_connected() or registry.connecting.under_way:
        return
    side_by_side({"connect": _try_to_connect}, seconds)


def _try_to_connect() -> None:
    try:
        connect()
    except Exception as exc:
        logger.error(
            "the databases could not be connected",
            exc_info=without_contents(exc),
            extra={"event": "connect_failed"},
        )
