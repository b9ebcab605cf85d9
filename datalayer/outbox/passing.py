"""One pass through the outbox: what waits is handed over to its targets, and taken out. What fails
stays, with those behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import nullcontext, suppress
from functools import partial
from itertools import groupby
from typing import Any

import pymongo
from bson import MinKey, ObjectId
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import ConnectionFailure, InvalidOperation

from datalayer.connections.registry import registry
from datalayer.errors import (
    AuthenticationError,
    DataLayerError,
    NotConnectedError,
    OutcomeUnknownError,
    TransactionError,
    UnavailableError,
)
from datalayer.failures.server_codes import ServerCode, code_of
from datalayer.outbox.entries import ASIDE, OUTBOX, Entry, Line, Unreadable, collection
from datalayer.outbox.inbox import TakenIn, prepare, take_in
from datalayer.outbox.reading import batches
from datalayer.outbox.telling import (
    tell_away,
    tell_further,
    tell_gaps,
    tell_refused,
    tell_unknown_alias,
    tell_unreadable,
)
from datalayer.outbox.troubles import note_failure, reason_of, troubles_of
from datalayer.transactions import transactional

logger = logging.getLogger("datalayer.outbox")

_SKIPPED_BY_SERVER = 200_000
"""So many streams that rest are left out of what is read; a query has room for thrice that."""
_PROBE_SECONDS = 2.0
_TOLD_ONE_BY_ONE = 20
_ATTEMPTS = 5
_CONFLICTS = frozenset({ServerCode.WriteConflict, ServerCode.LockTimeout})


class Pass:
    """What one pass has done so far, and what it leaves alone."""

    def __init__(
        self, source: str, *, patient: bool = False, only: Mapping[str, Any] | None = None
    ) -> None:
        self.delivered = 0
        self.away: dict[str, Exception] = {}
        """Targets that can't be used now, with the error."""
        self._source = source
        self._patient = patient
        connection = registry.connection(source)
        self._outbox = collection(connection, OUTBOX)
        self._aside = collection(connection, ASIDE)
        self._only = only or {}
        self._troubles = troubles_of(connection)
        self._stuck = self._troubles.resting_lines() if patient else set[Line]()
        self._targets_left_out = self._troubles.resting_targets() if patient else set[str]()
        self._prepared: set[str] = set()
        self._to_tell = 0
        self.failed = len(self._stuck) + len(self._targets_left_out)

    def run(self) -> None:
        """Go through what waits now.

        Raises:
            DataLayerError: when the source can't be used.
        """
        try:
            for batch in batches(self._outbox, self._query):
                self._deliver(batch)
            tell_further(self._source, self._to_tell - _TOLD_ONE_BY_ONE)
        except DataLayerError:
            if not self.away:  # a deadline that a target has used up is over for the source too
                raise
            return
        if not self._only:
            self._troubles.keep(self._stuck, self._targets_left_out)

    def _deliver(self, batch: list[Entry | Unreadable]) -> None:
        for broken in (each for each in batch if isinstance(each, Unreadable)):
            self._leave_unreadable(broken)
        entries = sorted((each for each in batch if isinstance(each, Entry)), key=_alias)
        for alias, group in groupby(entries, _alias):
            self._deliver_to(alias, list(group))

    def _query(self) -> dict[str, Any]:
        stuck = [stream for _, stream in self._stuck if isinstance(stream, ObjectId)]
        return {
            "alias": {"$nin": sorted(self._targets_left_out)},
            "_id.stream": {"$nin": stuck[:_SKIPPED_BY_SERVER]},
            **self._only,
        }

    def _deliver_to(self, alias: str, entries: list[Entry]) -> None:
        before = self.delivered + self.failed
        try:
            if alias not in self._prepared:
                self._prepare(alias)
            # The first version's come first, as they were there first.
            for part in (True, False):
                ready = [e for e in entries if e.is_old is part and self._is_ready(e)]
                self._hand_over(alias, ready)
        except Exception as exc:
            if isinstance(exc, DataLayerError) and exc.alias == self._source:
                raise
            self._leave_target(alias, exc)
            self.failed += before + len(entries) - self.delivered - self.failed

    def _prepare(self, alias: str) -> None:
        # What was away may hang now: finding that out again is to take little from the others.
        is_probe = self._patient and self._troubles.knows_target(alias)
        with pymongo.timeout(_PROBE_SECONDS) if is_probe else nullcontext():
            prepare(registry.connection(alias))
        self._prepared.add(alias)

    def _leave_target(self, alias: str, exc: Exception) -> None:
        self._targets_left_out.add(alias)
        is_unknown = isinstance(exc, NotConnectedError)
        if not is_unknown:
            self.away[alias] = exc
        if self._troubles.of_target(alias):
            (tell_unknown_alias if is_unknown else tell_away)(alias, exc)

    def _is_ready(self, entry: Entry) -> bool:
        if entry.held or (entry.behind is not None and self._has_old_ones_before(entry)):
            self._stuck.add(entry.line)
        if entry.line in self._stuck:
            self.failed += 1
            return False
        return True

    def _hand_over(
        self,
        alias: str,
        entries: list[Entry],
        attempts: int = _ATTEMPTS,
        complete: Set[Line] = frozenset(),
    ) -> None:
        """Deliver ``entries``; where some can't be, all but those, and those behind them.

        ``complete`` are streams of which nothing lies before or between ``entries``.
        """
        ready = [entry for entry in entries if entry.line not in self._stuck]
        self.failed += len(entries) - len(ready)
        if not ready:
            return
        try:
            hand_over: Callable[..., TakenIn] = transactional(alias, attempts=attempts)(take_in)
            taken = hand_over(alias, ready, complete)
        except Exception as exc:
            if _concerns_target(exc):
                raise
            if len(ready) > 1:
                middle = len(ready) // 2
                self._hand_over(alias, ready[:middle], 1, complete)
                self._hand_over(alias, ready[middle:], 1, complete)
            else:
                self._leave(ready[0], exc)
            return
        tell_gaps(alias, taken.jumps, self._aside)
        self._take_out(alias, taken)
        done = {id(entry) for entry in (*taken.written, *taken.known)}
        left = [entry for entry in ready if id(entry) not in done]
        if left:
            self._go_on(alias, left)

    def _take_out(self, alias: str, taken: TakenIn) -> None:
        entries = [*taken.written, *taken.known]
        if not entries:
            return
        self.delivered += len(entries)
        self._troubles.over(alias, {entry.line for entry in entries})
        with suppress(OutcomeUnknownError):  # what is still there comes again, and is known
            gone = self._outbox.delete_many({"_id": {"$in": [entry.id for entry in entries]}})
            if gone.deleted_count < len(entries) and taken.written:
                # Somebody may have put it aside meanwhile.
                self._aside.delete_many({"_id": {"$in": [entry.id for entry in taken.written]}})

    def _go_on(self, alias: str, entries: list[Entry]) -> None:
        """Deliver ``entries``, before which the target misses some, where the outbox has none
        either: they were delivered, and the inbox was lost, or somebody took them out.

        The outbox is asked before the target is asked again, so that what others deliver
        meanwhile is known there by then.
        """
        lines: dict[Line, list[Entry]] = {}
        for entry in entries:
            lines.setdefault(entry.line, []).append(entry)
        complete = {line for line, found in lines.items() if self._is_all_there_is(found)}
        self._stuck |= lines.keys() - complete
        self._hand_over(alias, entries, complete=complete)

    def _is_all_there_is(self, entries: list[Entry]) -> bool:
        """Whether the outbox holds all of ``entries`` and no other of their stream before them."""
        last = entries[-1]
        # Backwards: whoever is seen to be there was there after all those before it came.
        query = self._up_to(last, last.number)
        found = self._outbox.find(query, {"_id": 1}).sort("_id", -1).limit(len(entries) + 1)
        numbers = [each["_id"]["number"] for each in found]
        return numbers == [entry.number for entry in reversed(entries)]

    def _up_to(self, entry: Entry, number: int, *, old: bool = False) -> dict[str, Any]:
        """What selects the entries of its stream, or of the first version for its key."""
        own = {"key": entry.key} if entry.is_old or old else {"stream": entry.stream}
        numbers = {"$gte": {**own, "number": MinKey()}, "$lte": {**own, "number": number}}
        return {"_id": numbers, "alias": entry.alias}

    def _has_old_ones_before(self, entry: Entry) -> bool:
        query = self._up_to(entry, entry.behind or 0, old=True)
        return self._outbox.find_one(query, {"_id": 1}) is not None

    def _leave(self, entry: Entry, exc: Exception) -> None:
        self._stuck.add(entry.line)
        self.failed += 1
        is_conflict = _is_conflict(exc)  # somebody else is at it, or was killed at it
        to_tell = self._troubles.of_line(entry.line, passing=is_conflict)
        if is_conflict:
            return
        reason = reason_of(exc)
        noted = note_failure(self._outbox, entry.id, reason)
        if to_tell if noted is None else noted:
            self._tell(partial(tell_refused, entry, reason))

    def _leave_unreadable(self, broken: Unreadable) -> None:
        if broken.line in self._stuck:
            return
        self.failed += 1
        self._stuck.add(broken.line)
        to_tell = self._troubles.of_line(broken.line)
        noted = note_failure(self._outbox, broken.id, "it is no entry of an outbox")
        if to_tell if noted is None else noted:
            self._tell(partial(tell_unreadable, broken))

    def _tell(self, tell: Callable[[], None]) -> None:
        self._to_tell += 1
        if self._to_tell <= _TOLD_ONE_BY_ONE:
            tell()


def _alias(entry: Entry) -> str:
    return entry.alias


def _concerns_target(exc: Exception) -> bool:
    """Whether ``exc`` is about the target as a whole, rather than about what it was given."""
    if isinstance(exc, DataLayerError):
        is_about_entry = isinstance(exc, (TransactionError, AuthenticationError))
        return not (is_about_entry or _is_conflict(exc))
    return isinstance(exc, (ConnectionFailure, DriverConfigurationError, InvalidOperation))


def _is_conflict(exc: BaseException) -> bool:
    return isinstance(exc, UnavailableError) and any(
        code_of(each) in _CONFLICTS for each in _chain(exc)
    )


def _chain(exc: BaseException) -> Iterable[BaseException]:
    seen: BaseException | None = exc
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
