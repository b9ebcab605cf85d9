"""What a person does with an entry that can't be delivered: list, show, retry, hold, set aside,
put back. Nothing that is shown tells a document's contents, or a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from bson import ObjectId

from datalayer.connections.registry import registry
from datalayer.context.places import Place
from datalayer.errors import ConfigurationError
from datalayer.outbox.delivery import Delivered, DeliveryPass
from datalayer.outbox.enqueue import write_entry
from datalayer.outbox.entries import (
    ASIDE,
    OUTBOX,
    Entry,
    Unreadable,
    collection,
    label_of,
    printable,
    raw,
    read,
)
from datalayer.transactions import transactional

_WITHOUT_CONTENTS = {
    **dict.fromkeys(("alias", "collection", "ordered", "key", "added_at", "held_at"), 1),
    **dict.fromkeys(("failure", "document._id"), 1),
}
_TROUBLED = {"$or": [{"failure": {"$exists": True}}, {"held_at": {"$exists": True}}]}


@dataclass(frozen=True)
class Listed:
    """An entry as it is shown to people: nothing of its document, nor its key."""

    id: str
    """What commands call it."""
    state: str
    """``waits``, ``refused``, ``held``, ``unknown alias``, ``unreadable`` or ``set aside``."""
    target: str | None
    """The alias and the collection."""
    reason: str | None
    """Why the last attempt failed."""
    attempts: int
    """How often it was tried in vain."""
    added_at: datetime | None
    failing_since: datetime | None


def listed(source: str, *, limit: int, key: str | None = None) -> list[Listed]:
    """Up to ``limit`` entries of the outbox of ``source``, those in trouble first; then those
    that were set aside. With a ``key``, only its."""
    connection = registry.connection(source)
    outbox, aside = collection(connection, OUTBOX), collection(connection, ASIDE)
    of_key = {} if key is None else {"$or": [{"key": _meant(key)}, {"_id.key": _meant(key)}]}
    found = (
        _shown(stored, is_aside)
        for place, query, is_aside in (
            (outbox, {"$and": [_TROUBLED, of_key]}, False),
            (outbox, {"$and": [{"$nor": [_TROUBLED]}, of_key]}, False),
            (aside, of_key, True),
        )
        for stored in raw(place).find(query, _WITHOUT_CONTENTS).sort("_id", 1)
    )
    return list(islice(found, limit))


def shown(source: str, label: str, *, is_aside: bool = False) -> Listed:
    """The entry that is called ``label``.

    Raises:
        ConfigurationError: where there is none.
    """
    return _shown(_found(source, label, ASIDE if is_aside else OUTBOX), is_aside)


def retry(source: str, labels: Iterable[str]) -> Delivered:
    """Deliver the streams of these entries now, those that were held too.

    Raises:
        ConfigurationError: where there is no such entry.
        UnavailableError: when a server is away.
    """
    outbox = collection(registry.connection(source), OUTBOX)
    delivered = failed = 0
    for stored in [_found(source, label, OUTBOX) for label in labels]:
        outbox.update_one({"_id": {"$eq": stored["_id"]}}, {"$unset": {"held_at": ""}})
        done = DeliveryPass(source, only=_stream_of(stored["_id"])).run()
        delivered, failed = delivered + done.delivered, failed + done.failed
    return Delivered(delivered, failed)


def set_aside(source: str, label: str, *, hold: bool = False) -> None:
    """Leave an entry undelivered, until it is put back. It is lost in neither case.

    Those behind it go on; or with ``hold`` it keeps its place, and they wait with it, until
    ``retry``.

    Raises:
        ConfigurationError: where there is no such entry.
    """
    if hold:
        identity = _found(source, label, OUTBOX)["_id"]
        outbox = collection(registry.connection(source), OUTBOX)
        outbox.update_one({"_id": {"$eq": identity}}, [{"$set": {"held_at": "$$NOW"}}])
        return
    transactional(source)(_move_aside)(source, label)


def put_back(source: str, label: str) -> None:
    """Have an entry that was set aside delivered: behind all others with its key, as its turn
    may be over.

    Raises:
        ConfigurationError: where no such entry was set aside.
    """
    transactional(source)(_move_back)(source, label)


def _move_aside(source: str, label: str) -> None:
    connection = registry.connection(source)
    stored = _found(source, label, OUTBOX, whole=True)
    collection(connection, OUTBOX).delete_one({"_id": {"$eq": stored["_id"]}})
    collection(connection, ASIDE).insert_one(stored)


def _move_back(source: str, label: str) -> None:
    connection = registry.connection(source)
    stored = _found(source, label, ASIDE, whole=True)
    entry = read(stored)
    collection(connection, ASIDE).delete_one({"_id": {"$eq": stored["_id"]}})
    if isinstance(entry, Unreadable):
        collection(connection, OUTBOX).insert_one(stored)
        return
    key = entry.key if entry.ordered else None
    write_entry(source, Place(entry.alias, entry.database), entry.collection, entry.document, key)


def _shown(stored: Mapping[str, Any], is_aside: bool) -> Listed:
    entry = read(stored)
    failure = stored.get("failure")
    failure = failure if isinstance(failure, Mapping) else {}
    if isinstance(entry, Unreadable):
        target, state = None, "unreadable"
    else:
        target = printable(f"{entry.alias}.{entry.collection}")
        state = _state_of(entry, failure)
    return Listed(
        id=label_of(stored["_id"]),
        state="set aside" if is_aside else state,
        target=target,
        reason=printable(failure["reason"]) if "reason" in failure else None,
        attempts=failure.get("attempts", 0),
        added_at=_moment(stored.get("added_at")),
        failing_since=_moment(failure.get("since")),
    )


def _state_of(entry: Entry, failure: Mapping[str, Any]) -> str:
    if entry.held:
        return "held"
    if registry.find(entry.alias) is None:
        return "unknown alias"
    return "refused" if failure else "waits"


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _found(source: str, label: str, name: str, *, whole: bool = False) -> Mapping[str, Any]:
    place = raw(collection(registry.connection(source), name))
    for identity in _identities(place, label):
        projection = None if whole else _WITHOUT_CONTENTS
        stored: Mapping[str, Any] | None = place.find_one({"_id": {"$eq": identity}}, projection)
        if stored is not None:
            return stored
    where = "the outbox" if name == OUTBOX else "what was set aside from the outbox"
    raise ConfigurationError(
        f"{where} of {source!r} holds no entry {label!r}; `datalayer outbox list` shows all",
        alias=source,
    )


def _identities(place: Any, label: str) -> Iterator[Any]:
    stream, _, number = label.partition("-")
    if ObjectId.is_valid(stream) and number.isdecimal():
        yield {"stream": ObjectId(stream), "number": int(number)}
    # The first version's, and what is no entry, are called by a digest.
    others = place.find({"_id.stream": {"$not": {"$type": "objectId"}}}, {"_id": 1})
    yield from (each["_id"] for each in others if label_of(each["_id"]) == label)


def _stream_of(identity: Any) -> dict[str, Any]:
    if not isinstance(identity, Mapping):
        return {"_id.stream": {"$in": []}}  # nothing of it can be delivered
    name = "stream" if "stream" in identity else "key"
    return {f"_id.{name}": {"$eq": identity.get(name)}}


def _meant(key: str) -> Mapping[str, Sequence[Any]]:
    """The keys that somebody who types ``key`` may mean."""
    meant: list[Any] = [key]
    if ObjectId.is_valid(key):
        meant.append(ObjectId(key))
    with suppress(ValueError):
        meant.append(float(key))  # the server finds whole numbers by it as well
    return {"$in": meant}
