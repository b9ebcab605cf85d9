"""Keeps the tracebacks of our errors to what their reader can do something about, and secrets out
of their frames: those of the driver hold passwords where it logs in, and error trackers show the
variables of every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import wraps
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from datalayer.errors import DataLayerError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Error = TypeVar("Error", bound=BaseException)

# Frames of the application's own stay as they are: what they hold is its affair.
_EMPTIED = frozenset(
    {"bson", "datalayer", "dns", "gridfs", "mongomock", "pymongo", "ssl", "tenacity"}
)


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


class TrimmedTraceback(AbstractContextManager[None]):
    """Has our errors leave its block with a traceback that begins at the caller: the way through
    threads and retries is the same each time."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: Any) -> None:
        """Forget the way."""
        if isinstance(error, DataLayerError):
            error.__traceback__ = None


def is_internal(kind: type[BaseException]) -> bool:
    """Whether a class of errors is one that the driver keeps to itself."""
    return kind.__name__.startswith("_") and kind.__module__.partition(".")[0] == "pymongo"


def without_locals(exc: Error) -> Error:
    """``exc`` itself: its traceback, and those of all that led to it, keep their lines and lose
    the variables of datalayer's and the driver's frames. Frames that are still running keep them.
    """
    for each in _all_of(exc):
        for frame in _frames_of(each):
            if str(frame.f_globals.get("__name__")).partition(".")[0] in _EMPTIED:
                try:
                    frame.clear()
                except RuntimeError:  # it is still running
                    continue
    return exc


def chain_of(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and what led to it, one after the other, also what was left out of its traceback."""
    seen: BaseException | None = exc
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def takes_secrets(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorates a function that is given secrets: no frame of what it raises holds them, its own
    included."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except Exception as exc:
            del args, kwargs
            without_locals(exc)
            raise

    return call


def _all_of(exc: BaseException) -> Iterator[BaseException]:
    waiting: list[BaseException | None] = [exc]
    found: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in found:
            continue
        found.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def _frames_of(exc: BaseException) -> Iterator[FrameType]:
    entry = exc.__traceback__
    while entry is not None:
        yield entry.tb_frame
        entry = entry.tb_next
