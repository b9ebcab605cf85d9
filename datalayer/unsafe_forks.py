"""Tells of the one kind of fork that datalayer can't make safe: uWSGI's, without Python's part."""

from __future__ import annotations

import logging
import sys

__all__ = ["warn_of_unsafe_forks"]

logger = logging.getLogger("datalayer.workers")

_ADVICE = (
    "connecting in uWSGI's master, where a worker may hang at its start; set "
    "py-call-uwsgi-fork-hooks = true, or connect in the workers with "
    "datalayer.contrib.uwsgi.install()"
)


def warn_of_unsafe_forks() -> None:
    """To be called before threads are started, as connecting does it.

    In the master of uWSGI a thread of the driver's may run Python code at the moment of a fork.
    Without ``py-call-uwsgi-fork-hooks`` the worker finds the interpreter taken, and waits for it
    forever (https://github.com/unbit/uwsgi/issues/2387).
    """
    uwsgi = sys.modules.get("uwsgi")  # only inside uWSGI
    if uwsgi is None or uwsgi.worker_id() or not uwsgi.masterpid():
        return
    if not {"py-call-uwsgi-fork-hooks", "lazy-apps", "lazy"} & set(uwsgi.opt):
        logger.warning(_ADVICE, extra={"event": "unsafe_forks"})
        uwsgi.log(f"datalayer: {_ADVICE}")  # logging may not be set up
