"""Tells a forked child from its parent without asking the kernel each time, as every operation
would have to, and warns of the one kind of fork that can't be made safe. The handlers of
``os.register_at_fork`` don't run for every fork: uWSGI's leaves them out."""

from __future__ import annotations

import logging
import mmap
import os
import sys
from typing import Protocol

logger = logging.getLogger("datalayer.workers")

_ADVICE = (
    "connecting in uWSGI's master, where a worker may hang at its start; set "
    "py-call-uwsgi-fork-hooks = true, or connect in the workers with "
    "datalayer.contrib.uwsgi.install()"
)

_MADV_WIPEONFORK = 18  # Linux 4.14, madvise(2); the module mmap has no name for it before 3.14


class Mark(Protocol):
    """Its item 0 is true in the process that made it, and false in that process's children."""

    def __getitem__(self, index: int, /) -> object: ...


def fork_mark() -> Mark:
    """A mark of the present process: a page of memory that is empty in a child."""
    if sys.platform == "win32":  # where no process forks
        return _ByPid()
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_MADV_WIPEONFORK)
    except (AttributeError, OSError, ValueError):  # not Linux, or an old one
        return _ByPid()
    page[0] = 1
    return page


class _ByPid:
    """A mark that asks the kernel for the process's number, where the memory can't tell."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int, /) -> bool:
        return os.getpid() == self._pid


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
