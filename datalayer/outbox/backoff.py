"""When what failed is tried again, and when the log tells of it again: for this process in memory,
after pauses that double; for all processes in what is stored beside the entry."""

from __future__ import annotations

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
from datalayer.outbox.entries import Stream

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 300.0
_LONGEST_PAUSE_OF_CONFLICT_SECONDS = 5.0
_LONGEST_PAUSE_OF_TARGET_SECONDS = 30.0
_TOLD_AGAIN_SECONDS = 60.0
_TOLD_AT_LEAST_SECONDS = 24 * 3600.0


@dataclass
class _Failing:
    attempts: int = 0
    rests_until: float = 0.0
    times_told: int = 0
    tells_at: float = 0.0


class Backoff:
    """The streams and the targets that this process could not deliver, of one outbox.

    Each rests for a time that doubles with each attempt, so that it takes nothing from others.
    """

    def __init__(self) -> None:
        self._streams: dict[Stream, _Failing] = {}
        self._targets: dict[str, _Failing] = {}

    def stream_failed(self, stream: Stream, *, is_conflict: bool = False) -> bool:
        """Note that a stream failed; a write conflict passes by itself, and rests for less.
        Whether it is time to tell of it."""
        longest = _LONGEST_PAUSE_OF_CONFLICT_SECONDS if is_conflict else _LONGEST_PAUSE_SECONDS
        return _failed(self._streams.setdefault(stream, _Failing()), longest)

    def target_failed(self, alias: str) -> bool:
        """Note that a target could not be used; whether it is time to tell of it."""
        found = self._targets.setdefault(alias, _Failing())
        return _failed(found, _LONGEST_PAUSE_OF_TARGET_SECONDS)

    def target_failed_before(self, alias: str) -> bool:
        """Whether a target could not be used the last time."""
        return alias in self._targets

    def succeeded(self, alias: str, streams: set[Stream]) -> None:
        """Note that documents arrived."""
        self._targets.pop(alias, None)
        for stream in streams:
            self._streams.pop(stream, None)

    def forget_others(self, streams: Set[Stream], targets: Set[str]) -> None:
        """Forget all but these, and the streams for these targets: a pass met no others."""
        for stream in list(self._streams):
            if stream not in streams and stream[0] not in targets:
                self._streams.pop(stream, None)
        for alias in list(self._targets):
            if alias not in targets:
                self._targets.pop(alias, None)

    @property
    def failing(self) -> int:
        """How many streams could not be delivered."""
        return len(self._streams)

    def resting_streams(self) -> set[Stream]:
        """The streams that are not to be tried now."""
        return _resting(self._streams)

    def resting_targets(self) -> set[str]:
        """The targets that are not to be tried now."""
        return _resting(self._targets)


def backoff_of(connection: Connection) -> Backoff:
    """What fails of the outbox over ``connection``, in this process."""
    return _BACKOFFS.setdefault(connection, Backoff())


_BACKOFFS: WeakKeyDictionary[Connection, Backoff] = WeakKeyDictionary()


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


def _failed(found: _Failing, longest_pause: float) -> bool:
    now = monotonic()
    found.attempts += 1
    pause = _FIRST_PAUSE_SECONDS * 2 ** min(found.attempts - 1, 20)
    found.rests_until = now + min(pause, longest_pause)
    if now < found.tells_at:
        return False
    found.tells_at = now + min(_TOLD_AGAIN_SECONDS * 2**found.times_told, _TOLD_AT_LEAST_SECONDS)
    found.times_told = min(found.times_told + 1, 20)
    return True


def _resting(found: dict[Any, _Failing]) -> set[Any]:
    now = monotonic()
    return {what for what, failing in list(found.items()) if now < failing.rests_until}
