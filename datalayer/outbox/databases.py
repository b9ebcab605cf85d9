"""In which databases of a source's server do entries wait? In the alias's own and in those that it
keeps a list of: who writes an entry elsewhere, in a tenant's database, puts it on the list first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.context.places import Place, places
from datalayer.documents.collection import apart_from_transaction
from datalayer.outbox.entries import DATABASES, as_outbox, collection
from datalayer.retry import next_pause

_NOTED_SECONDS = 10.0
_BUSY_SECONDS = 90.0
"""Longer than a transaction lasts that has noted its database before its commit."""
_LOOK_SECONDS = 30.0
"""How often a database is looked at of which nobody has said lately that an entry comes."""
_LONGEST_PAUSE_SECONDS = 300.0

_noted: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()


def note(connection: Connection) -> None:
    """Have relays look into the database of ``connection``; to be called before an entry is
    written there. One small write, at most every ten seconds for each database."""
    name = connection.place.database
    if name is None or monotonic() < _noted.get(connection, 0.0) + _NOTED_SECONDS:
        return
    now = monotonic()
    with apart_from_transaction(registry.own_connection(connection.alias), DATABASES) as listed:
        as_outbox(listed).update_one(
            {"_id": name}, {"$currentDate": {"written_at": True}}, upsert=True
        )
    _noted[connection] = now


def listed(source: str) -> dict[str, Any]:
    """The databases on the list of ``source``, each with the time of the last note."""
    found = collection(registry.own_connection(source), DATABASES).find({})
    return {each["_id"]: each.get("written_at") for each in found if isinstance(each["_id"], str)}


def inside(source: str, database: str | None) -> AbstractContextManager[None]:
    """Inside the block, what is asked of ``source`` is asked of that database."""
    return places.entered({source: Place(source, database)})


@dataclass
class _Seen:
    """What a relay knows of one database."""

    written_at: Any = None
    busy_until: float = 0.0
    look_at: float = 0.0
    pause: float = 0.0


class Watch:
    """Which databases a relay is to look into now: those that are busy each time, the others now
    and then, so that a thousand idle ones cost little."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: dict[str, _Seen] = {}

    def due(self) -> Iterator[str]:
        """The names of the databases besides the source's own."""
        names = listed(self._source)
        self._seen = {name: self._seen.get(name, _Seen()) for name in names}
        for name, seen in self._seen.items():
            now = monotonic()
            if names[name] != seen.written_at:
                seen.written_at, seen.busy_until = names[name], now + _BUSY_SECONDS
            if now >= seen.look_at or (not seen.pause and now < seen.busy_until):
                yield name

    def looked(self, name: str, *, something_waits: bool) -> None:
        """Note that a pass has gone through ``name``."""
        seen, now = self._seen[name], monotonic()
        seen.pause = 0.0
        is_busy = something_waits or now < seen.busy_until
        seen.look_at = now if is_busy else now + _LOOK_SECONDS

    def failed(self, name: str) -> float:
        """Note that a pass through ``name`` has failed; in how many seconds it is tried again."""
        seen = self._seen[name]
        seen.pause = next_pause(seen.pause, _LONGEST_PAUSE_SECONDS)
        seen.look_at = monotonic() + seen.pause
        return seen.pause
