"""Keeps the tracebacks of our errors to what their reader can do something about."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["shortened"]

Error = TypeVar("Error", bound=BaseException)


def shortened(exc: Error) -> Error:
    """The driver's ``exc`` as the cause of one of our errors: what it says, in one line.

    The way through the driver, and what led to it there, are not shown any more. The latter stays
    its ``__context__``.
    """
    exc.__cause__ = None
    exc.__suppress_context__ = True
    return exc.with_traceback(None)
