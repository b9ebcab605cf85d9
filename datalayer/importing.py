"""Imports the application's modules that a command line or a plan names: from the working
directory too, which is no part of Python's path before and after."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType

__all__ = ["import_named", "working_directory_last"]

_lock = threading.RLock()  # one thread's end must not take the directory from another


def import_named(name: str) -> ModuleType:
    """Import the module ``name``, and raise what it raises.

    The working directory is looked at last, by its absolute path and only meanwhile: a file in
    it can't take the place of a module of Python's own or of an installed one, nor be found by
    a later import. Where Python was told to keep such directories out of its path (``-P``,
    ``PYTHONSAFEPATH``), it is not looked at.
    """
    with working_directory_last():
        return import_module(name)


@contextmanager
def working_directory_last() -> Iterator[None]:
    """Have what is imported in a ``with`` block be looked for in the working directory too, as by
    ``import_named``."""
    with _lock:
        directory = _working_directory()
        if directory is None or directory in sys.path:
            yield
            return
        sys.path.append(directory)
        try:
            yield
        finally:
            with suppress(ValueError):  # the module has taken it out itself
                sys.path.remove(directory)


def _working_directory() -> str | None:
    if sys.flags.safe_path:
        return None
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None
