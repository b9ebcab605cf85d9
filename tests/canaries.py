"""Values that stand for secrets in the tests, and must not come out of datalayer anywhere."""

from __future__ import annotations

import logging
import re
import traceback
from typing import Any
from urllib.parse import quote, quote_plus

from credentials import APP_USER

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
