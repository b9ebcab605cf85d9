"""What happens at the target: documents are written in one transaction with the number delivered
last of each stream (the inbox), by which one that comes a second time is recognised."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import OperationFailure

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.outbox.entries import INBOX, Entry, Stream, collection, is_whole

logger = logging.getLogger("datalayer.outbox")

_REMEMBERED_SECONDS = 30 * 24 * 3600
"""How long the target knows a delivered document without a key, should its entry come again."""

_WITHOUT_INDEX: WeakSet[Connection] = WeakSet()
"""What was told already."""


@dataclass(frozen=True)
class TakenIn:
    """What a transaction at the target did."""

    written: list[Entry] = field(default_factory=list)
    jumps: list[Entry] = field(default_factory=list)
    """Of those written, the ones before which the target misses others."""
    known: list[Entry] = field(default_factory=list)
    """Those that somebody had delivered before. All others wait: the target misses something
    before them."""


def prepare(connection: Connection) -> None:
    """Have the target forget delivered documents without a key after a while."""
    try:
        inbox = collection(connection, INBOX)
        inbox.create_index("delivered_at", expireAfterSeconds=_REMEMBERED_SECONDS)
    except OperationFailure as exc:  # it delivers without, and forgets nothing
        if connection in _WITHOUT_INDEX:
            return
        _WITHOUT_INDEX.add(connection)
        logger.warning(
            "the inbox of %s gets no index that lets it forget (error %s)",
            connection.alias,
            exc.code,
            extra={"alias": connection.alias, "event": "outbox_inbox_index"},
        )


def take_in(alias: str, entries: Sequence[Entry], complete: Set[Stream]) -> TakenIn:
    """Write those of ``entries`` whose turn it is; for one transaction on ``alias``.

    What is missing before those of ``complete`` streams doesn't exist any more.
    """
    connection = registry.connection(alias)
    reached = _reached(connection, entries)
    taken, missing = TakenIn(), set[Stream]()
    for entry in entries:
        stream = entry.stream
        last = reached.get(stream, 0)
        if stream in missing:
            continue
        if entry.number <= last and not _is_foreign(connection, entry):
            taken.known.append(entry)
        elif entry.number <= last + 1 or stream in complete:
            taken.written.append(entry)
            if entry.number > last + 1:
                taken.jumps.append(entry)
            reached[stream] = max(entry.number, last)
        else:
            missing.add(stream)
    _write(connection, taken.written, reached)
    return taken


def _reached(connection: Connection, entries: Sequence[Entry]) -> dict[Stream, int]:
    """The number delivered last, for each stream that the target knows."""
    inbox = collection(connection, INBOX)
    reached: dict[Stream, int] = {}
    streams = {entry.stream_id: entry.stream for entry in entries if not entry.is_old}
    for found in inbox.find({"_id": {"$in": list(streams)}}) if streams else ():
        reached[streams[found["_id"]]] = _number_of(found)
    for stream, entry in {entry.stream: entry for entry in entries if entry.is_old}.items():
        # One by one, as only the server knows which of them are equal to it.
        noted = inbox.find_one({"_id": {"$eq": entry.stream_id}})
        if noted is not None:
            reached[stream] = _number_of(noted)
    return reached


def _number_of(noted: Mapping[str, Any]) -> int:
    number: Any = noted.get("number")
    return int(number) if is_whole(number) else 0


def _is_foreign(connection: Connection, entry: Entry) -> bool:
    """Whether the note of what was delivered is about another source's entries.

    The first version's sources shared it where they used the same keys. Then the document itself
    tells: it isn't there.
    """
    if not (entry.is_old and entry.ordered):
        return False
    target = collection(connection, entry.collection)
    return target.find_one({"_id": {"$eq": entry.document["_id"]}}, {"_id": 1}) is None


def _write(
    connection: Connection, entries: Sequence[Entry], reached: Mapping[Stream, int]
) -> None:
    documents: dict[str, list[ReplaceOne[Any]]] = {}
    for entry in entries:
        # Not the bare value: where it is a pattern or holds operators, it would select others.
        same = {"_id": {"$eq": entry.document["_id"]}}
        write = ReplaceOne(same, entry.document, upsert=True)
        documents.setdefault(entry.collection, []).append(write)
    for name, writes in documents.items():
        collection(connection, name).bulk_write(writes)
    last = {entry.stream: entry for entry in entries}
    if last:
        notes = [_note(entry, reached[stream]) for stream, entry in last.items()]
        collection(connection, INBOX).bulk_write(notes)


def _note(entry: Entry, number: int) -> UpdateOne:
    change: dict[str, Any] = {"$set": {"number": number}}
    if not entry.ordered:
        change["$currentDate"] = {"delivered_at": True}
    return UpdateOne({"_id": {"$eq": entry.stream_id}}, change, upsert=True)
