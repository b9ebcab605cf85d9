"""What went wrong lately: how long it is left alone, and when it is told again."""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from datalayer.connections.connection import Connection
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import ServerCode, code_of
from datalayer.outbox.entries import Line

logger = logging.getLogger("datalayer.outbox")

_FIRST_REST_SECONDS = 0.5
_LONGEST_REST_SECONDS = 300.0
_LONGEST_REST_OF_CONFLICT_SECONDS = 5.0
_LONGEST_REST_OF_TARGET_SECONDS = 30.0
_TOLD_AGAIN_SECONDS = 60.0
_TOLD_AT_LEAST_SECONDS = 24 * 3600.0


@dataclass
class _Trouble:
    attempts: int = 0
    rests_until: float = 0.0
    told: int = 0
    tells_at: float = 0.0


class Troubles:
    """The streams and the targets that this process could not deliver, of one outbox.

    Each rests for a time that doubles with each attempt, so that it takes nothing from others.
    """

    def __init__(self) -> None:
        self._lines: dict[Line, _Trouble] = {}
        self._targets: dict[str, _Trouble] = {}

    def of_line(self, line: Line, *, passing: bool = False) -> bool:
        """Note that a stream failed, for a reason that may be ``passing`` by itself; whether it
        is time to tell of it."""
        longest = _LONGEST_REST_OF_CONFLICT_SECONDS if passing else _LONGEST_REST_SECONDS
        return _met(self._lines.setdefault(line, _Trouble()), longest)

    def of_target(self, alias: str) -> bool:
        """Note that a target could not be used; whether it is time to tell of it."""
        found = self._targets.setdefault(alias, _Trouble())
        return _met(found, _LONGEST_REST_OF_TARGET_SECONDS)

    def knows_target(self, alias: str) -> bool:
        """Whether a target could not be used the last time."""
        return alias in self._targets

    def over(self, alias: str, lines: set[Line]) -> None:
        """Note that documents arrived."""
        self._targets.pop(alias, None)
        for line in lines:
            self._lines.pop(line, None)

    def keep(self, lines: Set[Line], targets: Set[str]) -> None:
        """Forget all but these, and the streams for these targets: a pass met no others."""
        for line in list(self._lines):
            if line not in lines and line[0] not in targets:
                self._lines.pop(line, None)
        for alias in list(self._targets):
            if alias not in targets:
                self._targets.pop(alias, None)

    @property
    def failing(self) -> int:
        """How many streams could not be delivered."""
        return len(self._lines)

    def resting_lines(self) -> set[Line]:
        """The streams that are not to be tried now."""
        return _resting(self._lines)

    def resting_targets(self) -> set[str]:
        """The targets that are not to be tried now."""
        return _resting(self._targets)


def troubles_of(connection: Connection) -> Troubles:
    """Those of the outbox over ``connection``, in this process."""
    return _TROUBLES.setdefault(connection, Troubles())


_TROUBLES: WeakKeyDictionary[Connection, Troubles] = WeakKeyDictionary()


def note_failure(outbox: Collection[Any], identity: Any, reason: str) -> bool | None:
    """Write a failed attempt down beside the entry, for people and for the other processes.

    Whether it is time to tell of it: at first, and then after pauses of a minute that grow with
    the age of the trouble, to a day. By the server's clock, and for one of all processes.
    ``None`` where there is no room beside the entry, which is as large as documents get.
    """
    known = {"$ifNull": ["$failure.since", "$$NOW"]}
    told = {"$ifNull": ["$failure.told_at", "$$NOW"]}
    age = {"$subtract": [told, known]}
    pause = {"$min": [{"$max": [age, _TOLD_AGAIN_SECONDS * 1000]}, _TOLD_AT_LEAST_SECONDS * 1000]}
    is_due = {"$gte": [{"$subtract": ["$$NOW", told]}, pause]}
    failure = {
        "reason": {"$literal": reason},
        "attempts": {"$add": [{"$ifNull": ["$failure.attempts", 0]}, 1]},
        "since": known,
        "last_at": "$$NOW",
        "told_at": {"$cond": [is_due, "$$NOW", told]},
    }
    try:
        found: Any = outbox.find_one_and_update(
            {"_id": {"$eq": identity}},
            [{"$set": {"failure": failure}}],
            projection={"failure": 1},
            return_document=ReturnDocument.AFTER,
        )
    except OperationFailure:
        return None
    return found is not None and found["failure"]["told_at"] == found["failure"]["last_at"]


def reason_of(exc: BaseException) -> str:
    """Why, in a few words; never in the driver's, which may hold a document's values."""
    codes = (code_of(each) for each in (exc, exc.__cause__, exc.__context__))
    code = next((each for each in codes if each is not None), None)
    if code is None:
        return kind_of(exc)
    names = {each.value: each.name for each in ServerCode}
    return f"{names.get(code, kind_of(exc))} (error {code})"


def _met(found: _Trouble, longest_rest: float) -> bool:
    now = monotonic()
    found.attempts += 1
    rest = _FIRST_REST_SECONDS * 2 ** min(found.attempts - 1, 20)
    found.rests_until = now + min(rest, longest_rest)
    if now < found.tells_at:
        return False
    pause = _TOLD_AGAIN_SECONDS * 2 ** min(found.told, 20)
    found.told += 1
    found.tells_at = now + min(pause, _TOLD_AT_LEAST_SECONDS)
    return True


def _resting(found: dict[Any, _Trouble]) -> set[Any]:
    now = monotonic()
    return {what for what, trouble in list(found.items()) if now < trouble.rests_until}
