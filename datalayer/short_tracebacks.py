"""Keeps the tracebacks of our errors to what their reader can do something about."""

from __future__ import annotations

__all__ = ["as_cause", "is_internal"]


def as_cause(exc: BaseException) -> BaseException | None:
    """What to raise an error of ours from, which stands for the driver's ``exc``.

    A traceback shows it in one line, without the way through the driver, which is always the
    same, and without what led to it there, which stays its ``__context__``. An error that the
    driver keeps to itself is not shown at all.
    """
    if is_internal(type(exc)):
        return None
    exc.__cause__ = None
    exc.__suppress_context__ = True
    return exc.with_traceback(None)


def is_internal(kind: type[BaseException]) -> bool:
    """Whether a class of errors is one that the driver keeps to itself."""
    return kind.__name__.startswith("_") and kind.__module__.partition(".")[0] == "pymongo"
