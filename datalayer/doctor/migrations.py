"""How do migrations stand? Compares the files with the history, read by a client of our own, and
says what to do about what is pending, edited or stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from datalayer.connections.registry import DEFAULT_ALIAS, registry
from datalayer.doctor.findings import Remark, counted, error, note, ok, skipped, warning
from datalayer.doctor.probes.client import diagnostic_client
from datalayer.errors import ConfigurationError, MigrationError
from datalayer.migrations.files import File, find, place_of
from datalayer.migrations.history import HISTORY, UNDERWAY, History, entries
from datalayer.migrations.standing import Standing, standings
from datalayer.settings import DatabaseSettings, Settings

_MOST_LISTED = 5
_PLAN = "`datalayer migrations plan` tells what they would do, and `apply` does it"


@dataclass(frozen=True)
class Facts:
    """What files and history say."""

    found: Sequence[Standing]
    holder: str | None
    """The runner at work, as host:process."""
    began: Mapping[str, datetime]
    """When each was begun, in UTC."""


def examine_migrations(settings: Settings, timeout_seconds: float) -> tuple[Remark, ...]:
    """What there is to say of the migrations of ``settings``, and what to do about it."""
    if DEFAULT_ALIAS not in settings:
        return (skipped("there is no default database, which holds the history of migrations"),)
    try:
        place = place_of(settings.migrations)
        files = find(place) if place.path.is_dir() else ()
        if not files:
            return (ok(f"there are none in {settings.migrations!r}"),)
        facts = _gathered(settings[DEFAULT_ALIAS], files, timeout_seconds)
    except (ConfigurationError, MigrationError) as exc:
        return (error(exc.message, "correct that before anything is applied or undone"),)
    except PyMongoError as exc:  # whose text may hold values of documents
        return (skipped(f"the history of migrations can't be read ({type(exc).__name__})"),)
    if facts is None:
        return (skipped("the default database runs on no server that could be asked"),)
    told = tuple(_judged(facts, required=settings.migrations_at_connect == "require"))
    return told or (ok(f"{counted(len(files), 'migration')}, all applied"),)


class _Seen(History):
    """The history, as another client sees it."""

    def __init__(self, seen: Collection[Any]) -> None:
        super().__init__()
        self._seen = seen

    @property
    def leased(self) -> Collection[Any]:
        return self._seen


def _gathered(
    settings: DatabaseSettings, files: Sequence[File], timeout_seconds: float
) -> Facts | None:
    uri = None
    if settings.kind == "mongomock":
        return None
    if settings.kind == "embedded":
        if registry.find(settings.alias) is None:
            return None
        uri = registry.uri_for(settings)
    with diagnostic_client(settings, uri, timeout_seconds, name="doctor") as client:
        history: Collection[Any] = client[settings.database][HISTORY]
        with pymongo.timeout(timeout_seconds):
            found = standings(files, entries(history))
            begun = history.find({"began_at": {"$type": "date"}}, {"began_at": True})
            began = {each["_id"]: each["began_at"] for each in begun}
            return Facts(found, _Seen(history).held_by()[0], began)


def _judged(facts: Facts, *, required: bool) -> Iterator[Remark]:
    pending = _those(facts, "pending")
    if pending:
        tell = error if required else warning
        yield tell(f"not applied: {_listed(pending)}", _PLAN)
    for each in _those(facts, "failed"):
        why = each.entry.error if each.entry is not None else None
        yield error(f"{each.name} has failed: {why or 'it is not known why'}", _go_on(each))
    for each in _those(facts, *UNDERWAY.values()):
        yield _underway(each, facts)
    for each in _those(facts, "edited"):
        yield error(
            f"{each.name} was edited after it was applied",
            "bring the file back as it was and write another migration; if it does the same, "
            f"`datalayer migrations resolve {each.number} --as applied`",
        )
    for each in _those(facts, "missing"):
        yield error(
            f"{each.name} is applied, and its file is gone",
            "bring it back; if it counts no more, "
            f"`datalayer migrations resolve {each.number} --as not-applied`",
        )
    newer = _those(facts, "newer")
    if newer:
        yield note(f"applied by later code than this: {_listed(newer)}")


def _underway(each: Standing, facts: Facts) -> Remark:
    began = facts.began.get(each.name)
    since = f", since {began:%Y-%m-%d %H:%M} UTC" if began is not None else ""
    if facts.holder is None:
        return error(f"{each.name} was stopped while it was {each.state}{since}", _go_on(each))
    return note(
        f"{facts.holder} is {each.state} {each.name}{since}",
        "should it hang, end that process: what it has done is noted, and "
        f"`datalayer migrations {_verb(each)}` goes on there",
    )


def _go_on(each: Standing) -> str:
    return (
        f"`datalayer migrations {_verb(each)}` goes on with it, once what stopped it is put "
        f"right; `datalayer migrations resolve {each.number}` says how it is instead"
    )


def _verb(each: Standing) -> str:
    return "apply" if each.entry is None else each.entry.direction


def _those(facts: Facts, *states: str) -> list[Standing]:
    return [each for each in facts.found if each.state in states]


def _listed(found: Sequence[Standing]) -> str:
    more = len(found) - _MOST_LISTED
    names = ", ".join(each.name for each in found[:_MOST_LISTED])
    return names + (f" and {more} more" if more > 0 else "")
