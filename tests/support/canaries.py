"""Values that stand for secrets in the tests, and must not come out of datalayer anywhere."""

from __future__ import annotations

import dataclasses
import logging
import re
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from credentials import APP_USER
from mongoengine.queryset.base import BaseQuerySet
from paths import TESTS

CANARY = "canary"
"""Part of each secret and of each document's value that a test makes up for this purpose."""

_PASSWORD = APP_USER[1]
_SECRETS = (
    CANARY,
    "zc4n4ry",
    "hunter2",
    _PASSWORD,
    quote_plus(_PASSWORD),
    quote(_PASSWORD, safe=""),
)
# What the tests' documents hold as well: e-mail addresses of people who do not exist.
_FOUND = re.compile("|".join(map(re.escape, _SECRETS)) + r"|@example\.(com|org)")


def found_in(text: str) -> str | None:
    """The first canary in ``text`` with what stands around it, or ``None``."""
    found = _FOUND.search(text)
    return None if found is None else text[max(found.start() - 60, 0) : found.end() + 20]


def found_in_frames(
    error: BaseException, *, levels: int = 3, find: Callable[[str], object] = found_in
) -> list[str]:
    """Where a canary is shown by a variable of a frame in the tracebacks of ``error`` and of all
    that led to it, or by the attributes and members of one, ``levels`` deep. The tests' own
    frames have made up the canaries, and aren't looked at."""
    found = []
    for exc in _chain(error):
        for frame, _ in traceback.walk_tb(exc.__traceback__):
            if Path(frame.f_code.co_filename).is_relative_to(TESTS):
                continue
            for name, value in frame.f_locals.items():
                place = f"{frame.f_globals['__name__']}.{frame.f_code.co_name}: {name}"
                found += [f"{place}{path}" for path in _places_in(value, levels, find)]
    return found


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and its causes and contexts, those too that Python would not print."""
    waiting, seen = [error], set()
    while waiting:
        exc = waiting.pop()
        if exc is not None and id(exc) not in seen:
            seen.add(id(exc))
            yield exc
            waiting += [exc.__cause__, exc.__context__, *getattr(exc, "exceptions", ())]


def _places_in(value: object, levels: int, find: Callable[[str], object]) -> Iterator[str]:
    if any(map(find, _texts_of(value))):
        yield ""
    elif levels > 0:
        for name, attribute in _attributes_of(value).items():
            for path in _places_in(attribute, levels - 1, find):
                yield f".{name}{path}"


def _texts_of(value: object) -> list[str]:
    if isinstance(value, BaseQuerySet):  # asks the server for what it shows
        return []
    try:
        return [repr(value), str(value)]
    except Exception:  # of an object that isn't complete yet
        return []


def _attributes_of(value: object) -> dict[str, object]:
    if isinstance(value, (type, types.ModuleType, types.FunctionType)):
        return {}
    if isinstance(value, Mapping):
        return {f"[{key!r}]": each for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return {f"[{number}]": each for number, each in enumerate(value)}
    attributes = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            mangled = f"_{kind.__name__.lstrip('_')}{name}" if private else name
            if hasattr(value, mangled):
                attributes[mangled] = getattr(value, mangled)
    if dataclasses.is_dataclass(value):
        attributes["asdict()"] = {
            each.name: getattr(value, each.name) for each in dataclasses.fields(value)
        }
    return attributes


def text_of(record: logging.LogRecord) -> str:
    """All that any formatter could write of ``record``."""
    parts: list[Any] = [record.getMessage(), record.args, sorted(vars(record).items(), key=str)]
    if record.exc_info and record.exc_info[1]:
        parts += traceback.format_exception(record.exc_info[1])
    return "\n".join(map(str, parts))


class Guard(logging.Handler):
    """Notes the records that hold a canary."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.caught: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = found_in(text_of(record))
        if found is not None:
            self.caught.append(f"{record.name} {record.levelname}: …{found}…")

    def taken(self) -> list[str]:
        """What was noted since the last call."""
        caught, self.caught = self.caught, []
        return caught
