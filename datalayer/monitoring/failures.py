"""Remembers what failed lately, by kind: codes, names and places, and never a message, which may
hold values of documents."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

_REMEMBERED = 40  # kinds, those that happened latest
_CODE_NAME = re.compile("[A-Za-z0-9_]{1,60}")


@dataclass(frozen=True)
class Failure:
    """Failures of one kind: how often, since when, and when last."""

    alias: str
    kind: str
    """The server's name of the error with its code, or the driver's class of it."""
    operation: str
    """The command and its collection, or what else was tried."""
    host: str | None
    """Whom it was tried with, as ``host:port``."""
    count: int
    first_at: str
    """As ISO 8601 in UTC, like ``last_at``."""
    last_at: str


class FailureLog:
    """The kinds of failures of one alias. Failures are rare, so noting one may take a lock."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self.reset()

    def reset(self) -> None:
        """Forget everything: the process was forked."""
        self._lock = threading.RLock()  # guards _kinds; re-entrant: see PoolMonitor
        self._kinds: dict[tuple[str, str, str | None], Failure] = {}

    def note(self, kind: str, operation: str, host: str | None) -> None:
        """Count a failure."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        key = (kind, operation, host)
        with self._lock:
            known = self._kinds.pop(key, None)
            if known is None:
                known = Failure(self._alias, *key, count=0, first_at=now, last_at=now)
            self._kinds[key] = replace(known, count=known.count + 1, last_at=now)
            if len(self._kinds) > _REMEMBERED:
                del self._kinds[next(iter(self._kinds))]

    def latest(self) -> tuple[Failure, ...]:
        """The last 40 kinds, the latest first."""
        with self._lock:
            return tuple(reversed(self._kinds.values()))


def kind_of(failure: Mapping[str, Any]) -> str:
    """The kind of a failed command, from the server's reply or from the driver's own note."""
    code, name = failure.get("code"), failure.get("codeName", failure.get("errtype"))
    known = name if isinstance(name, str) and _CODE_NAME.fullmatch(name) else None
    if isinstance(code, int):
        return f"{known or 'error'} ({code})"
    return known or "error"


def address_of(address: object) -> str | None:
    """The driver's address of a server as text: ``host:port``, or the path of a socket."""
    if not isinstance(address, tuple) or len(address) != 2:
        return None
    host, port = address
    return str(host) if port is None else f"{host}:{port}"
