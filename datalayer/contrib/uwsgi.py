"""Connects uWSGI's workers when they start, and closes them when they end.

import datalayer.contrib.uwsgi

datalayer.contrib.uwsgi.install()
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from datalayer.concurrency.greenlets import refuse_unsafe_patching
from datalayer.concurrency.threads import signals_held
from datalayer.concurrency.uwsgi import warn_of_standing_still
from datalayer.contrib import workers
from datalayer.errors import DataLayerError

try:
    import uwsgi
except ImportError as exc:
    raise ImportError("datalayer.contrib.uwsgi works in a process of uWSGI only") from exc

__all__ = ["install"]

logger = logging.getLogger("datalayer.workers")

_FAILED_APP_CODE = 22
"""uWSGI's own exit code for a worker that could not load its application (``uwsgi.h``)."""


def install() -> None:
    """Connect each worker after its fork, and close its connections when it ends.

    To be called where the application is loaded. With ``lazy-apps`` that is in the worker, which
    connects at once; otherwise ``uwsgi.post_fork_hook`` does it. Hooks that are there already
    are kept, also those of ``uwsgidecorators``.

    A worker that can't connect a required database logs why and ends as one does that can't load
    its application: uWSGI starts it anew, with pauses.

    Raises:
        ConfigurationError: where gevent would patch after the application is loaded.
    """
    refuse_unsafe_patching()
    warn_of_standing_still()
    _advise_on_ending()
    if uwsgi.worker_id():
        if _connect():
            _end_in_order()
    else:
        before = getattr(uwsgi, "post_fork_hook", None)
        if uwsgi.masterpid():  # it refuses to be imported without
            with suppress(ImportError):
                import uwsgidecorators  # noqa: F401 - it sets its hook now, and not over ours
        theirs = getattr(uwsgi, "post_fork_hook", None)
        uwsgi.post_fork_hook = _in_turn(_connect_or_end, before, theirs)
    uwsgi.atexit = _in_turn(getattr(uwsgi, "atexit", None), workers.disconnect)


def _connect() -> bool:
    """Whether the worker was told meanwhile to end in order."""
    with signals_held():  # uWSGI's handlers shall not run in the driver's threads
        workers.connect()
        if uwsgi.worker_id() == 1:  # one of them is enough
            workers.check_pool_budget(uwsgi.numproc)
        return signal.SIGHUP in signal.sigpending()


def _connect_or_end() -> None:
    """uWSGI would print an error of its hook and let the worker take requests all the same, even
    where it is told to end."""
    try:
        told_to_end = _connect()
    except KeyboardInterrupt:  # a SIGINT, before uWSGI handles it by itself
        raise SystemExit(0) from None
    except DataLayerError as exc:
        logger.critical("%s", exc, extra={"event": "worker_failed", "alias": exc.alias})
        uwsgi.log(f"datalayer can't connect this worker: {exc}")  # logging may not be set up
        raise SystemExit(_FAILED_APP_CODE) from exc
    if told_to_end:
        _end_in_order()


def _end_in_order() -> None:
    """For a worker that got a SIGHUP while it connected: uWSGI doesn't handle it by itself yet,
    and would forget it."""
    workers.disconnect()
    raise SystemExit(0)


def _in_turn(*calls: Callable[[], Any] | None) -> Callable[[], None]:
    wanted = [call for call in dict.fromkeys(calls) if call is not None]

    def call_all() -> None:
        for call in wanted:
            call()

    return call_all


def _advise_on_ending() -> None:
    if "master" in uwsgi.opt:
        at_once, hook, ending = "die-on-term" in uwsgi.opt, "hook-master-start", "_them_all"
    else:
        at_once, hook, ending = True, "hook-accepting", ""
    if at_once and hook not in uwsgi.opt:
        uwsgi.log(
            "datalayer: a worker that is answering a request when uWSGI is stopped by SIGTERM "
            "ends without storing what the recorder holds; set "
            f"{hook} = unix_signal:15 gracefully_kill{ending} instead"
        )
