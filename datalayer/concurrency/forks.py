"""Tells a forked child from its parent without asking the kernel each time, as every operation
would have to. The handlers of ``os.register_at_fork`` don't run for every fork: uWSGI's leaves
them out."""

from __future__ import annotations

import mmap
import os
import sys
from typing import Protocol

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
