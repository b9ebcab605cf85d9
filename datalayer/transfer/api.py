"""The verbs of a transfer: run, resume, verify, roll back, and look at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from datalayer.core import registry
from datalayer.errors import ConfigurationError, TransferError
from datalayer.transactions import current
from datalayer.transfer import checks
from datalayer.transfer.entries import Entry, entries, entry
from datalayer.transfer.failures import explained
from datalayer.transfer.journal import Journal
from datalayer.transfer.lease import Lease, held
from datalayer.transfer.places import Place
from datalayer.transfer.plan import Plan
from datalayer.transfer.rollback import Rollback
from datalayer.transfer.running import OnProgress, Progress, Runner

__all__ = ["Report", "find", "resume", "rollback", "run", "show", "transfers", "verify"]

_ASK_SECONDS = 0.2


@dataclass(frozen=True)
class Report:
    """How a transfer stands. Counts are of documents."""

    name: str
    state: str
    """``new``, ``running``, ``drifted``, ``done``, ``rolling_back`` or ``rolled_back``."""
    source: str
    target: str
    move: bool
    method: str
    planned: int
    copied: int
    skipped: int
    """The target had them before; they stayed."""
    replaced: int
    verified: int
    """The same on both sides when they were compared."""
    deleted: int
    """Gone from the source, by a move."""
    missing: int
    """In the source, and not in the target."""
    differing: int
    """Not the same on both sides, or changed since they were verified."""
    gone: int
    """Copied, and no longer in the source or no longer selected, without a move's doing."""
    new: int
    """In the source since they would have been copied."""
    left: int
    """Left in the source by a move, because they had changed."""
    recipe: str | None
    holder: str | None
    """The runner at work, as host:process."""
    seconds_left: float
    """How long it keeps others out if it has died."""
    created_at: datetime
    updated_at: datetime

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do or to look into."""
        return self.state in ("done", "rolled_back")

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        shown = asdict(self) | {"complete": self.complete}
        shown.update({name: shown[name].isoformat() for name in ("created_at", "updated_at")})
        return shown


def run(plan: Plan, *, on_progress: OnProgress | None = None) -> Report:
    """Carry out ``plan``: copy, verify, and delete from the source what a move has verified.

    Raises:
        TransferError: where the databases are not in a state for it any more, when there is a
            transfer of that name, and for whatever stops it; ``resume`` goes on with it.
    """
    with explained(f"the transfer {plan.name!r}"):
        _refuse_transaction()
        destination = Place.of(plan.target)
        checks.check(plan, Place.of(plan.source), destination)
        Journal(destination, plan.name).create(plan)
    return resume(plan.name, target=plan.target, on_progress=on_progress)


def resume(
    name: str,
    *,
    target: str | None = None,
    wait_seconds: float = 0.0,
    on_progress: OnProgress | None = None,
) -> Report:
    """Go on with a transfer that was interrupted; nothing happens to one that is done.

    Where the runner before has died, its lease has to run out first: ``wait_seconds`` is how
    long to wait for that.

    Raises:
        ConfigurationError: where no transfer has that name.
        TransferError: while another runner is at work, and for whatever stops it.
    """
    with _working(name, target, wait_seconds) as (found, journal, lease):
        if found.state in ("rolling_back", "rolled_back"):
            raise TransferError(
                f"the transfer {name!r} is being taken back or has been; "
                f"`datalayer transfer rollback {name}` finishes that",
                alias=found.plan.target,
            )
        if found.state != "done":
            Runner(found, journal, lease, on_progress or _silent).run()
    return show(name, target=found.plan.target)


def verify(
    name: str,
    *,
    target: str | None = None,
    wait_seconds: float = 0.0,
    on_progress: OnProgress | None = None,
) -> Report:
    """Compare every document of a transfer on both sides, and note what was found.

    Raises:
        ConfigurationError: where no transfer has that name.
        TransferError: while another runner is at work, and for whatever stops it.
    """
    with _working(name, target, wait_seconds) as (found, journal, lease):
        if found.state not in ("rolling_back", "rolled_back"):
            Runner(found, journal, lease, on_progress or _silent).verify()
    return show(name, target=found.plan.target)


def rollback(
    name: str,
    *,
    target: str | None = None,
    force: bool = False,
    wait_seconds: float = 0.0,
    on_progress: OnProgress | None = None,
) -> Report:
    """Take back what a transfer wrote, finished or not.

    Documents that a move deleted are put back first. ``force`` takes back documents, too, that
    have changed in the target since they were verified.

    Raises:
        ConfigurationError: where no transfer has that name.
        TransferError: while another runner is at work, when the target has changed, and for
            whatever stops it; calling it again goes on with it.
    """
    with _working(name, target, wait_seconds) as (found, journal, lease):
        if found.state != "rolled_back":
            tell = on_progress or _silent
            # One that has begun was checked then, and differs by its own doing since.
            begun = found.state == "rolling_back"
            Rollback(found.plan, journal, lease, tell, force=force or begun).run()
    return show(name, target=found.plan.target)


def show(name: str, *, target: str | None = None) -> Report:
    """How the transfer ``name`` stands.

    Raises:
        ConfigurationError: where no transfer has that name.
    """
    with explained(f"looking for the transfer {name!r}"):
        return _report(find(name, target))


def transfers() -> list[Report]:
    """All transfers into the connected databases, the latest first."""
    with explained("looking for transfers"):
        found = [each for alias in _aliases(None) for each in _into(alias)]
        return [_report(each) for each in sorted(found, key=lambda e: e.created_at, reverse=True)]


def find(name: str, target: str | None = None) -> Entry:
    """The journal's entry of a transfer, in ``target`` or in any connected database.

    Raises:
        ConfigurationError: where there is none, or more than one.
    """
    found = [each for alias in _aliases(target) for each in _named(alias, name)]
    if not found:
        raise ConfigurationError(
            f"no connected database knows a transfer {name!r}; `datalayer transfer list` shows all"
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"several databases know a transfer {name!r}; say which one with --to"
        )
    return found[0]


def _named(alias: str, name: str) -> list[Entry]:
    return [each for each in _into(alias) if each.plan.name == name]


def _into(alias: str) -> list[Entry]:
    """The transfers into ``alias``: another alias may be the same database."""
    return [each for each in entries(Place.of(alias)) if each.plan.target == alias]


def _aliases(target: str | None) -> list[str]:
    if target is not None:
        return [target]
    return [
        alias
        for alias in registry.aliases()
        if registry.connection(alias).settings.kind != "mongomock"
    ]


@contextmanager
def _working(
    name: str, target: str | None, wait_seconds: float
) -> Iterator[tuple[Entry, Journal, Lease]]:
    advice = f"; `datalayer transfer resume {name}` goes on with it"
    with explained(f"the transfer {name!r}", advice):
        _refuse_transaction()
        found = find(name, target)
        place = Place.of(found.plan.target)
        _wait(place, name, wait_seconds)
        journal = Journal(place, name)
        with held(journal, found.plan.lease_seconds) as lease:
            yield entry(place, name), journal, lease


def _wait(place: Place, name: str, seconds: float) -> None:
    """Wait at most ``seconds`` until nobody is at work."""
    ends = monotonic() + seconds
    while seconds and entry(place, name).seconds_left and monotonic() < ends:
        time.sleep(_ASK_SECONDS)


def _refuse_transaction() -> None:
    if current() is not None:
        raise TransferError(
            "a transfer can't run inside a transaction: it has its own; call it outside"
        )


def _report(found: Entry) -> Report:
    plan = found.plan
    journal = Journal(Place.of(plan.target), plan.name)
    totals = journal.totals()
    return Report(
        name=plan.name,
        state=found.state,
        source=plan.source,
        target=plan.target,
        move=plan.move,
        method=plan.method,
        planned=plan.count,
        copied=totals["ids"] - totals["copying"],
        skipped=totals["skipped"],
        replaced=totals["replaced"],
        verified=totals["count"],
        deleted=totals["deleted"] - totals["stayed"],
        missing=totals["missing"],
        differing=totals["differing"],
        gone=totals["gone"],
        new=sum(each.get("new", 0) for each in found.progress.values()),
        left=totals["left"],
        recipe=plan.recipe,
        holder=found.holder,
        seconds_left=found.seconds_left,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _silent(_: Progress) -> None:
    """Nobody wants to know."""
