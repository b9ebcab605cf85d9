"""What uWSGI's options make of forks and threads, told where a process connects: some can't be
made safe, and without others the driver's and the recorder's threads stand still."""

from __future__ import annotations

import logging
import sys
from typing import Any

from datalayer.concurrency.greenlets import gevent_of_threads

logger = logging.getLogger("datalayer.workers")

_FORKS = (
    "connecting in uWSGI's master, where a worker may hang at its start; set "
    "py-call-uwsgi-fork-hooks = true, or connect in the workers with "
    "datalayer.contrib.uwsgi.install()"
)
_THREADS = (
    "without enable-threads, what the recorder holds and the driver's watch over the servers "
    "stand still between requests; set enable-threads = true"
)
_GREENLETS = (
    "uWSGI serves with gevent and nothing is patched: whoever waits for a database holds up all "
    "requests of the worker; set gevent-early-monkey-patch = true"
)
_told: set[str] = set()  # by this process or its parent, before the fork


def warn_of_standing_still() -> None:
    """Tell where threads or greenlets can't run beside a request that waits; once."""
    uwsgi = _uwsgi()
    if uwsgi is None or gevent_of_threads() is not None:
        return
    if getattr(uwsgi, "loop", None) == b"gevent":
        _tell(uwsgi, _GREENLETS)
    if not {"enable-threads", "threads"} & set(uwsgi.opt):
        _tell(uwsgi, _THREADS)


def warn_of_unsafe_forks() -> None:
    """To be called before threads are started, as connecting does it.

    In the master of uWSGI a thread of the driver's may run Python code at the moment of a fork.
    Without ``py-call-uwsgi-fork-hooks`` the worker finds the interpreter taken, and waits for it
    forever (https://github.com/unbit/uwsgi/issues/2387).
    """
    uwsgi = _uwsgi()
    if uwsgi is None or uwsgi.worker_id() or not uwsgi.masterpid():
        return
    if not {"py-call-uwsgi-fork-hooks", "lazy-apps", "lazy"} & set(uwsgi.opt):
        _tell(uwsgi, _FORKS)


def _uwsgi() -> Any:
    return sys.modules.get("uwsgi")  # only inside uWSGI


def _tell(uwsgi: Any, advice: str) -> None:
    if advice not in _told:
        _told.add(advice)
        logger.warning("%s", advice, extra={"event": "uwsgi_options"})
        uwsgi.log(f"datalayer: {advice}")  # logging may not be set up
