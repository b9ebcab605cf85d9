"""Takes what waits in the outbox to the target, in passes that any number of processes may make
at the same time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bson import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import OperationFailure

from datalayer.core import DEFAULT_ALIAS, registry
from datalayer.errors import OutcomeUnknownError, TransactionError
from datalayer.outbox.entries import INBOX, OUTBOX, Entry, collection
from datalayer.transactions import transactional

__all__ = ["Delivered", "deliver"]

logger = logging.getLogger("datalayer.outbox")

_BATCH = 200
_REMEMBERED_SECONDS = 30 * 24 * 3600
"""How long the target knows a delivered document without a key, should its entry come again."""


@dataclass(frozen=True)
class Delivered:
    """What a pass did."""

    delivered: int
    """Entries that are in the target now, and out of the outbox."""
    failed: int
    """Entries that the target refuses; those behind them with the same key wait."""


def deliver(source: str = DEFAULT_ALIAS) -> Delivered:
    """Deliver what waits in the outbox now, once through.

    A process that is killed in the middle leaves a transaction, which keeps its keys from being
    delivered until the server drops it (``transactionLifetimeLimitSeconds``, a minute).

    Raises:
        UnavailableError: when a server is away; what was delivered until then stays so.
        NotConnectedError: before ``connect``.
    """
    outbox = collection(registry.connection(source), OUTBOX)
    delivered = failed = 0
    for batch in _batches(outbox):
        for alias, entries in groupby(sorted(batch, key=lambda e: e.alias), lambda e: e.alias):
            waiting = list(entries)
            _prepare_inbox(alias)
            done = _handed_over(alias, waiting)
            with suppress(OutcomeUnknownError):  # what is still there comes again, and is known
                outbox.delete_many({"_id": {"$in": [entry.id for entry in done]}})
            delivered += len(done)
            failed += len(waiting) - len(done)
    return Delivered(delivered, failed)


def _batches(outbox: Any) -> Iterator[list[Entry]]:
    # Undecoded documents, so that they arrive as they were written down.
    raw = outbox.with_options(codec_options=CodecOptions(document_class=RawBSONDocument))
    after: Any = None
    while True:
        query = {} if after is None else {"_id": {"$gt": after}}
        batch = [Entry.from_stored(each) for each in raw.find(query).sort("_id", 1).limit(_BATCH)]
        if not batch:
            return
        yield batch
        after = batch[-1].id


def _handed_over(alias: str, entries: Sequence[Entry]) -> list[Entry]:
    """Those of ``entries`` that the target has, now or already before."""
    try:
        hand_over: Callable[..., list[Entry]] = transactional(alias)(_hand_over)
        return hand_over(alias, entries)
    except (OperationFailure, TransactionError) as exc:
        if len(entries) == 1:
            _tell_refused(entries[0], exc)
            return []
    # One of them is refused: the others are delivered one by one, but none behind it.
    done: list[Entry] = []
    stuck: set[str] = set()
    for entry in entries:
        if entry.key not in stuck:
            handed = _handed_over(alias, [entry])
            done += handed
            if not handed:
                stuck.add(entry.key)
    return done


def _hand_over(alias: str, entries: Sequence[Entry]) -> list[Entry]:
    connection = registry.connection(alias)
    inbox = collection(connection, INBOX)
    keys = list({entry.key for entry in entries})
    reached = {each["_id"]: each["number"] for each in inbox.find({"_id": {"$in": keys}})}
    done: list[Entry] = []
    fresh: dict[str, list[ReplaceOne[Any]]] = {}
    for entry in entries:
        number = reached.get(entry.key, 0)
        if entry.number == number + 1:
            write = ReplaceOne({"_id": entry.document["_id"]}, entry.document, upsert=True)
            fresh.setdefault(entry.collection, []).append(write)
            reached[entry.key] = entry.number
        if entry.number <= reached.get(entry.key, 0):
            done.append(entry)  # now, or by somebody before
    for name, writes in fresh.items():
        collection(connection, name).bulk_write(writes)
    if fresh:
        inbox.bulk_write([_note(entry) for entry in _last_of_each_key(done)])
    return done


def _last_of_each_key(entries: Sequence[Entry]) -> list[Entry]:
    return list({entry.key: entry for entry in entries}.values())


def _note(entry: Entry) -> UpdateOne:
    change: dict[str, Any] = {"$max": {"number": entry.number}}
    if not entry.ordered:
        change["$currentDate"] = {"delivered_at": True}
    return UpdateOne({"_id": entry.key}, change, upsert=True)


def _prepare_inbox(alias: str) -> None:
    """Have the target forget delivered documents without a key after a while."""
    inbox = collection(registry.connection(alias), INBOX)
    inbox.create_index("delivered_at", expireAfterSeconds=_REMEMBERED_SECONDS)


def _tell_refused(entry: Entry, exc: Exception) -> None:
    # Not the driver's text, which may hold the document's values.
    logger.error(
        "%s refuses a document for %s from the outbox (error %s); it waits, with those behind it",
        entry.alias,
        entry.collection,
        getattr(exc, "code", None),
        extra={"alias": entry.alias, "event": "outbox_refused", "collection": entry.collection},
    )
