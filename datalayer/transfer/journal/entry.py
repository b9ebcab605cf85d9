"""What the journal says of transfers, for everybody to read. An entry that is not as it was made
is told as damaged, and stands in nobody's way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import bson
from bson import Timestamp
from bson.errors import BSONError

from datalayer.errors import ConfigurationError, TransferError
from datalayer.transfer.codecs import DECODED
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.plan import Plan
from datalayer.transfer.raw.bson import id_of

TRANSFERS = "datalayer_transfers"
RANGES = "datalayer_transfer_ranges"
DAMAGED = "damaged"
"""The state of an entry that can't be trusted."""
_STATES = frozenset(
    {"new", "running", "following", "drifted", "done", "rolling_back", "rolled_back"}
)
_UNKNOWN = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Entry:
    """What the journal says of one transfer."""

    plan: Plan
    state: str
    """``new``, ``running``, ``following``, ``drifted``, ``done``, ``rolling_back`` or
    ``rolled_back``."""
    progress: Mapping[str, Any]
    """What runners have noted."""
    holder: str | None
    seconds_left: float
    """How long the holder may go on without renewing its lease; 0 where nobody is at work."""
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """What the transfer is called."""
        return self.plan.name

    @property
    def target(self) -> str:
        """The alias that it writes to."""
        return self.plan.target

    @property
    def recipe(self) -> str | None:
        """The recipe that made it."""
        return self.plan.recipe


@dataclass(frozen=True)
class Damaged:
    """An entry that somebody has altered since it was made, or that a later version made."""

    name: str
    endpoint: Endpoint
    problem: str
    recipe: str | None
    created_at: datetime
    updated_at: datetime
    state: str = DAMAGED

    @property
    def target(self) -> str:
        """The alias of the database in whose journal it is."""
        return self.endpoint.alias

    def error(self) -> TransferError:
        """What to raise where the transfer is asked for."""
        return TransferError(
            f"the transfer {self.name!r} on {self.endpoint.alias!r} is damaged: {self.problem}. "
            f"Nothing is read or written by it. Bring its entry in {TRANSFERS!r} back as it was, "
            "from a backup of that database; or, if you need it no more, delete it there",
            alias=self.endpoint.alias,
        )


def entries(endpoint: Endpoint, name: str | None = None) -> list[Entry | Damaged]:
    """All transfers into ``endpoint``, or the one of that ``name``, the latest first."""
    # An entry whose id is no text is a damaged one, and is called by what that looks like.
    named = {"$or": [{"_id": name}, {"_id": {"$not": {"$type": "string"}}}]}
    found = _found(endpoint, {} if name is None else named)
    return [each for each in found if name in (None, each.name)]


def unfinished(endpoint: Endpoint) -> list[Entry | Damaged]:
    """The transfers into ``endpoint`` that are neither done nor taken back, the latest first."""
    return list(_found(endpoint, {"state": {"$nin": ["done", "rolled_back"]}}))


def entry(endpoint: Endpoint, name: str) -> Entry:
    """What the journal says of the transfer ``name``.

    Raises:
        ConfigurationError: where there is none of that name.
        TransferError: where its entry is damaged.
    """
    found = next(_found(endpoint, {"_id": name}), None)
    if found is None:
        raise ConfigurationError(
            f"{endpoint.alias!r} knows no transfer {name!r}; `datalayer transfer list` shows all",
            alias=endpoint.alias,
        )
    if isinstance(found, Damaged):
        raise found.error()
    return found


def _found(endpoint: Endpoint, query: Mapping[str, Any]) -> Iterator[Entry | Damaged]:
    # The server's clock tells how long a lease has left: that of this machine may be off.
    left = {"$max": [0, {"$subtract": ["$until", "$$NOW"]}]}
    pipeline: list[dict[str, Any]] = [
        {"$match": dict(query)},
        {"$sort": {"created_at": -1, "_id": -1}},
        {"$set": {"left": {"$cond": [{"$eq": [{"$type": "$until"}, "date"]}, left, 0]}}},
    ]
    for stored in endpoint.raw(TRANSFERS).aggregate(pipeline):
        yield _entry_of(endpoint, bytes(stored.raw))


def _entry_of(endpoint: Endpoint, raw: bytes) -> Entry | Damaged:
    stored: dict[str, Any] = {}
    try:
        stored = bson.decode(raw, DECODED)
        return _checked(stored)
    except _DamageError as exc:
        problem = str(exc)
    except (BSONError, KeyError, TypeError, ValueError, AttributeError) as exc:
        problem = f"it is not what an entry is ({type(exc).__name__})"
    recipe = stored.get("recipe")
    created_at, updated_at = stored.get("created_at"), stored.get("updated_at")
    return Damaged(
        name=str(stored.get("_id") or id_of(raw)),
        endpoint=endpoint,
        problem=problem,
        recipe=recipe if isinstance(recipe, str) else None,
        created_at=created_at if isinstance(created_at, datetime) else _UNKNOWN,
        updated_at=updated_at if isinstance(updated_at, datetime) else _UNKNOWN,
    )


def _checked(stored: Mapping[str, Any]) -> Entry:
    text = stored["plan"]
    if hashlib.sha256(text.encode()).hexdigest() != stored["checksum"]:
        raise _DamageError("its plan was altered, as its checksum is another's")
    try:
        plan = Plan.from_json(text)
    except (KeyError, TypeError, ValueError) as exc:
        raise _DamageError(
            "its plan is one of a later version of datalayer, or none at all"
        ) from exc
    if plan.name != stored["_id"]:
        raise _DamageError(f"its plan is that of another transfer, {plan.name!r}")
    if stored["state"] not in _STATES:
        raise _DamageError(f"there is no state {stored['state']!r}")
    for name, kind in _KINDS.items():
        if not isinstance(stored[name], kind):
            raise _DamageError(f"its {name!r} is a {type(stored[name]).__name__}")
    _check_progress(plan, stored["progress"])
    return Entry(
        plan=plan,
        state=stored["state"],
        progress=stored["progress"],
        holder=stored["holder"],
        seconds_left=stored["left"] / 1000,
        created_at=stored["created_at"],
        updated_at=stored["updated_at"],
    )


def _check_progress(plan: Plan, progress: Mapping[str, Any]) -> None:
    for name, kind in (
        ("begun_at", Timestamp),
        ("token", dict),
        ("followed", int),
        ("left_by_rollback", str),
    ):
        if not isinstance(progress.get(name), kind | None):
            raise _DamageError(f"its {name!r} was altered")
    for number, part in enumerate(plan.parts):
        facts = progress.get(str(number))
        if facts is None:
            continue
        own = {index["name"] for index in part.indexes}
        fits = (
            isinstance(facts["created"], bool)
            and isinstance(facts["read"], bool)
            and own.issuperset(facts["indexes"])
            and isinstance(facts.get("new", 0), int)
        )
        if not fits:
            raise _DamageError(f"what it says of {part.target!r} was altered")


_KINDS = {
    "progress": dict,
    "token": int,
    "holder": str | None,
    "until": datetime | None,
    "created_at": datetime,
    "updated_at": datetime,
}


class _DamageError(Exception):
    """Why an entry can't be trusted."""
