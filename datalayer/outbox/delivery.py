"""How an entry is delivered: a pass reads what waits, writes it into the targets, takes it out.

Any number of processes may make passes at the same time. What can't be delivered stays, with those
behind it in its stream, and keeps nothing else from arriving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.errors import ConnectionFailure, InvalidOperation

from datalayer.connections.registry import registry
from datalayer.errors import (
    AuthenticationError,
    DataLayerError,
    NotConnectedError,
    OutcomeUnknownError,
    TenantError,
    TransactionError,
    UnavailableError,
)
from datalayer.failures.server_codes import ServerCode, code_of
from datalayer.failures.tracebacks import chain_of
from datalayer.monitoring import tracing
from datalayer.outbox.backoff import backoff_of, note_failure, reason_of
from datalayer.outbox.batches import batches
from datalayer.outbox.databases import inside
from datalayer.outbox.entries import ASIDE, OUTBOX, Entry, Stream, Unreadable, collection
from datalayer.outbox.inbox import TakenIn, prepare, take_in
from datalayer.outbox.log_messages import (
    log_away,
    log_further,
    log_gap,
    log_refused,
    log_unknown_alias,
    log_unreadable,
)
from datalayer.outbox.stream_order import (
    are_first_in_stream,
    old_ones_come_before,
    was_set_aside_before,
)
from datalayer.transactions import transactional

_SKIPPED_BY_SERVER = 200_000
"""So many streams that rest are left out of what is read; a query has room for thrice that."""
_PROBE_SECONDS = 2.0
_TOLD_ONE_BY_ONE = 20
_ATTEMPTS = 5
_CONFLICTS = frozenset({ServerCode.WriteConflict, ServerCode.LockTimeout})


@dataclass(frozen=True)
class Delivered:
    """What a pass did."""

    delivered: int
    """Entries that are in the target now, and out of the outbox."""
    failed: int
    """Entries that could not be delivered, and those behind them with the same key, which wait."""

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(self.delivered + other.delivered, self.failed + other.failed)


class DeliveryPass:
    """One pass through the outbox of ``source``, or through what ``only`` selects of it.

    A ``patient`` pass, of a relay that makes one after the other, leaves alone for a while what
    failed lately, and raises nothing for targets that are away.
    """

    def __init__(
        self, source: str, *, patient: bool = False, only: Mapping[str, Any] | None = None
    ) -> None:
        connection = registry.connection(source)
        self._source = source
        self._patient = patient
        self._only = only or {}
        self._outbox = collection(connection, OUTBOX)
        self._aside = collection(connection, ASIDE)
        self._backoff = backoff_of(connection)
        self._stuck = self._backoff.resting_streams() if patient else set[Stream]()
        self._targets_left_out = self._backoff.resting_targets() if patient else set[str]()
        self._away: dict[str, Exception] = {}
        """Targets that can't be used now, with the error."""
        self._prepared: set[tuple[str, str]] = set()
        self._to_tell = 0
        self._delivered = 0
        self._failed = len(self._stuck) + len(self._targets_left_out)

    def run(self) -> Delivered:
        """Go through what waits now.

        Raises:
            DataLayerError: when the source can't be used; unless the pass is patient, when a
                target can't, after all that is for others was delivered.
        """
        try:
            for batch in batches(self._outbox, self._query):
                self._deliver(batch)
            log_further(self._source, self._to_tell - _TOLD_ONE_BY_ONE)
        except DataLayerError:
            if not self._away:  # a deadline that a target has used up is over for the source too
                raise
        else:
            if not self._only:
                self._backoff.forget_others(self._stuck, self._targets_left_out)
        if self._away and not self._patient:
            raise next(iter(self._away.values()))
        return Delivered(self._delivered, self._failed)

    def _deliver(self, batch: list[Entry | Unreadable]) -> None:
        for broken in (each for each in batch if isinstance(each, Unreadable)):
            if broken.stream not in self._stuck:
                self._leave(broken, "it is no entry of an outbox")
        entries = sorted((each for each in batch if isinstance(each, Entry)), key=_target)
        for (alias, database), group in groupby(entries, _target):
            found = list(group)
            facts = {"datalayer.alias": alias, "datalayer.documents": len(found)}
            spans = (each.span for each in found if each.span is not None)
            with tracing.span("outbox deliver", facts, spans), inside(alias, database or None):
                self._deliver_to(alias, found)

    def _query(self) -> dict[str, Any]:
        stuck = [stream for _, stream in self._stuck if isinstance(stream, ObjectId)]
        return {
            "alias": {"$nin": sorted(self._targets_left_out)},
            "_id.stream": {"$nin": stuck[:_SKIPPED_BY_SERVER]},
            **self._only,
        }

    def _deliver_to(self, alias: str, entries: list[Entry]) -> None:
        before, failed = self._delivered + self._failed, self._failed
        try:
            if _target(entries[0]) not in self._prepared:
                self._prepare(alias)
                self._prepared.add(_target(entries[0]))
            # The first version's come first, as they were there first.
            for part in (True, False):
                ready = [e for e in entries if e.is_old is part and self._is_ready(e)]
                self._hand_over(alias, ready)
        except TenantError as exc:  # about this database, and not about the alias
            self._failed = failed
            for entry in entries:
                self._leave(entry, reason_of(exc))
        except Exception as exc:
            if isinstance(exc, DataLayerError) and exc.alias == self._source:
                raise
            self._leave_target(alias, exc)
            self._failed += before + len(entries) - self._delivered - self._failed

    def _prepare(self, alias: str) -> None:
        # What was away may hang now: finding that out again is to take little from the others.
        is_probe = self._patient and self._backoff.target_failed_before(alias)
        with pymongo.timeout(_PROBE_SECONDS) if is_probe else nullcontext():
            prepare(registry.connection(alias))

    def _leave_target(self, alias: str, exc: Exception) -> None:
        self._targets_left_out.add(alias)
        is_unknown = isinstance(exc, NotConnectedError)
        if not is_unknown:
            self._away[alias] = exc
        if self._backoff.target_failed(alias):
            (log_unknown_alias if is_unknown else log_away)(alias, exc)

    def _is_ready(self, entry: Entry) -> bool:
        if entry.held or (entry.behind is not None and old_ones_come_before(self._outbox, entry)):
            self._stuck.add(entry.stream)
        if entry.stream in self._stuck:
            self._failed += 1
            return False
        return True

    def _hand_over(
        self,
        alias: str,
        entries: list[Entry],
        attempts: int = _ATTEMPTS,
        complete: Set[Stream] = frozenset(),
    ) -> None:
        """Deliver ``entries``; where some can't be, all but those, and those behind them.

        ``complete`` are streams of which nothing lies before or between ``entries``.
        """
        ready = [entry for entry in entries if entry.stream not in self._stuck]
        self._failed += len(entries) - len(ready)
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
                self._leave(ready[0], None if _is_conflict(exc) else reason_of(exc))
            return
        # The first version has left gaps, and so does who sets an entry aside.
        unexplained = [
            entry
            for entry in taken.jumps
            if not entry.is_old and not was_set_aside_before(self._aside, entry)
        ]
        if unexplained:
            log_gap(alias, len(unexplained))
        self._take_out(alias, taken)
        done = {id(entry) for entry in (*taken.written, *taken.known)}
        left = [entry for entry in ready if id(entry) not in done]
        if left:
            self._go_on(alias, left)

    def _take_out(self, alias: str, taken: TakenIn) -> None:
        entries = [*taken.written, *taken.known]
        if not entries:
            return
        self._delivered += len(entries)
        self._backoff.succeeded(alias, {entry.stream for entry in entries})
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
        streams: dict[Stream, list[Entry]] = {}
        for entry in entries:
            streams.setdefault(entry.stream, []).append(entry)
        complete = {
            stream for stream, found in streams.items() if are_first_in_stream(self._outbox, found)
        }
        self._stuck |= streams.keys() - complete
        self._hand_over(alias, entries, complete=complete)

    def _leave(self, found: Entry | Unreadable, reason: str | None) -> None:
        """Leave what can't be delivered; ``None`` is for a write conflict: somebody else is at
        it, or was killed at it."""
        self._stuck.add(found.stream)
        self._failed += 1
        is_due = self._backoff.stream_failed(found.stream, is_conflict=reason is None)
        if reason is None:
            return
        noted = note_failure(self._outbox, found.id, reason)
        if not (is_due if noted is None else noted):
            return
        self._to_tell += 1
        if self._to_tell > _TOLD_ONE_BY_ONE:
            return
        if isinstance(found, Entry):
            log_refused(found, reason)
        else:
            log_unreadable(found)


def _target(entry: Entry) -> tuple[str, str]:
    return entry.alias, entry.database or ""


def _concerns_target(exc: Exception) -> bool:
    """Whether ``exc`` is about the target as a whole, rather than about what it was given."""
    if isinstance(exc, DataLayerError):
        is_about_entry = isinstance(exc, (TransactionError, AuthenticationError))
        return not (is_about_entry or _is_conflict(exc))
    return isinstance(exc, (ConnectionFailure, DriverConfigurationError, InvalidOperation))


def _is_conflict(exc: BaseException) -> bool:
    return isinstance(exc, UnavailableError) and any(
        code_of(each) in _CONFLICTS for each in chain_of(exc)
    )
