"""What is applied? The history of migrations in the default database, written by one runner at a
time, whose lease lies beside it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError
from pymongo.read_concern import ReadConcern

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.documents.collection import plain_collection
from datalayer.errors import DataLayerError, MigrationError
from datalayer.lease import LeaseDocument
from datalayer.terminal import printable

HISTORY = "datalayer_migrations"
LEASE = "lease"
"""The ``_id`` of the lease's document; no file is called so."""
UNDERWAY = {"apply": "applying", "undo": "undoing"}
OVER = {"apply": "applied", "undo": "undone"}
_STATES = frozenset({*UNDERWAY.values(), *OVER.values(), "failed"})
_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """What the history says of one migration."""

    name: str
    state: str
    """``applying``, ``applied``, ``undoing``, ``undone`` or ``failed``."""
    direction: str
    """What was done last: ``apply`` or ``undo``."""
    run: str
    """Names this application of the file, under which its steps are noted; it stays when it is
    gone on with."""
    checksum: str
    """Of the file, when it was applied."""
    applied_at: datetime | None = None
    took_ms: int | None = None
    version: str | None = None
    """Of datalayer."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """What each step did when the migration was applied last."""
    error: str | None = None
    """Why it failed; no contents of documents."""

    @property
    def number(self) -> int:
        """The file's."""
        return int(self.name.partition("_")[0])

    @property
    def documents(self) -> int:
        """How many documents the steps have changed."""
        return sum(step["changed"] for step in self.steps)


def collection() -> Collection[dict[str, Any]]:
    """The history: what a majority has confirmed, read from the primary."""
    return registry.connection(DEFAULT_ALIAS).database.get_collection(
        HISTORY,
        codec_options=_OPTIONS,
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority"),
        read_concern=ReadConcern("majority"),
    )


def entries(history: Collection[dict[str, Any]] | None = None) -> dict[str, Entry]:
    """The history, by the names of the migrations; ``history`` is where it lies, for whoever has a
    client of their own.

    Raises:
        MigrationError: for an entry that is not as it was made.
    """
    asked = collection() if history is None else history
    found = [_entry(stored) for stored in asked.find({"_id": {"$ne": LEASE}})]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def _entry(stored: Mapping[str, Any]) -> Entry:
    try:
        entry = Entry(
            name=stored["_id"],
            state=stored["state"],
            direction=stored["direction"],
            run=stored["run"],
            checksum=stored["checksum"],
            applied_at=stored.get("applied_at"),
            took_ms=stored.get("took_ms"),
            version=stored.get("version"),
            steps=tuple(stored.get("steps") or ()),
            error=stored.get("error"),
        )
        is_known = entry.state in _STATES and entry.direction in OVER
        if not (is_known and entry.number and entry.documents >= 0):
            raise ValueError("not as it was made")
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise MigrationError(
            f"the entry {printable(str(stored.get('_id')))!r} of {HISTORY!r} is not as it was "
            "made, or a later version of datalayer made it; bring it back from a backup of that "
            "database, or delete it there and say how it is by `datalayer migrations resolve`",
            alias=DEFAULT_ALIAS,
        ) from exc
    return entry


class History(LeaseDocument):
    """The history as a runner writes it, who holds its lease."""

    def __init__(self) -> None:
        super().__init__("the migrations")

    @property
    def leased(self) -> Collection[Any]:
        """The history itself."""
        return collection()

    @property
    def id(self) -> str:
        """That of the lease's document."""
        return LEASE

    def busy(self) -> DataLayerError:
        """What to raise while another runner is at work."""
        holder, seconds = self.held_by()
        return MigrationError(
            f"{printable(holder or 'a runner')} is at work on the migrations; should it have "
            f"died, its lease runs out in {seconds:.0f} s: try again then, or wait with --wait",
            alias=DEFAULT_ALIAS,
        )

    def lost(self) -> DataLayerError:
        """What to raise when the lease is gone."""
        return MigrationError(
            "this runner has lost its lease, because it was stopped or cut off for long, and "
            "another may be at work by now; `datalayer migrations status` shows how far it is, "
            "and trying again goes on there",
            alias=DEFAULT_ALIAS,
        )

    def resolve(self, name: str, before: Entry | None, checksum: str | None, state: str) -> None:
        """Note that a migration is ``applied`` or ``undone``, because a person says so."""
        changes = {
            "state": state,
            "direction": "apply" if state == "applied" else "undo",
            "run": uuid.uuid4().hex,
            "checksum": checksum or (before.checksum if before is not None else ""),
            "error": None,
            "resolved": True,
        }
        self.write(name, before, changes, dated=f"{state}_at")

    def write(
        self,
        name: str,
        before: Entry | None,
        changes: Mapping[str, Any],
        *,
        dated: str | None = None,
        in_transaction: bool = False,
    ) -> None:
        """Change the entry of ``name``, provided that it still is as it was ``before``; the field
        ``dated`` gets the present time.

        Raises:
            MigrationError: where another runner has written it.
        """
        written = collection()
        if in_transaction:
            written = plain_collection(registry.connection(DEFAULT_ALIAS), HISTORY)
        mine: dict[str, Any] = {"$lte": self.token}
        if before is None:
            mine = {"$in": []}  # no entry that is there
        known = {} if before is None else {"state": before.state, "run": before.run}
        try:
            done = written.update_one(
                {"_id": name, **known, "token": mine},
                {
                    "$set": {**changes, "token": self.token},
                    "$currentDate": dict.fromkeys(filter(None, ("updated_at", dated)), True),
                },
                upsert=before is None,
            )
        except DuplicateKeyError:
            raise self.lost() from None
        if not done.matched_count and done.upserted_id is None:
            raise self.lost()
