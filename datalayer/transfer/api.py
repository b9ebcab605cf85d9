"""The verbs of a transfer: run, resume, verify, roll back, and look at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from datalayer.connections.registry import registry
from datalayer.errors import ConfigurationError, TransferError
from datalayer.terminal import printable
from datalayer.transactions import current
from datalayer.transfer.endpoint import Endpoint, same_database
from datalayer.transfer.errors import explained
from datalayer.transfer.journal.entry import Damaged, Entry, entries, entry
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.lease import Lease, held
from datalayer.transfer.plan import Plan
from datalayer.transfer.planning import checks
from datalayer.transfer.report import Report, report_of
from datalayer.transfer.runner.rollback import Rollback
from datalayer.transfer.runner.runner import Runner
from datalayer.transfer.runner.workers import OnProgress, Progress

_ASK_SECONDS = 0.2
_ENDED = frozenset({"done", "rolling_back", "rolled_back"})


def run(plan: Plan, *, on_progress: OnProgress | None = None) -> Report:
    """Carry out ``plan``: copy, verify, and delete from the source what a move has verified.

    Raises:
        TransferError: where the databases are not in a state for it any more, when there is a
            transfer of that name, and for whatever stops it; ``resume`` goes on with it.
    """
    with explained(f"the transfer {plan.name!r}"):
        _refuse_transaction()
        destination = Endpoint.of(plan.target)
        checks.check(plan, Endpoint.of(plan.source), destination)
        Journal(destination, plan.name, followed=plan.follow).create(plan)
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
    with _working(name, target, wait_seconds) as (found, lease):
        if found.state in ("rolling_back", "rolled_back"):
            raise TransferError(
                f"the transfer {name!r} is being taken back or has been; "
                f"`datalayer transfer rollback {name}` finishes that",
                alias=found.plan.target,
            )
        if found.state != "done":
            Runner(found, lease, on_progress or _silent).run()
    return show(name, target=found.plan.target)


def cut_over(
    name: str,
    *,
    target: str | None = None,
    wait_seconds: float = 60.0,
    on_progress: OnProgress | None = None,
) -> Report:
    """End a followed transfer: carry over what is left, verify it, and for a move delete.

    Stop the writers of the source before. The runner at work does the rest, and this waits for
    it at most ``wait_seconds``; where nobody is at work, it is done here. Should the two sides
    differ in the end, because something was still written, nothing is deleted, the state is
    ``drifted``, and ``resume`` follows again.

    Raises:
        ConfigurationError: where no transfer has that name, or it isn't a followed one.
        TransferError: when the runner has not finished in time, and for whatever stops it.
    """
    with explained(f"the cut-over of {name!r}"):
        found = find(name, target)
        if not found.plan.follow:
            raise ConfigurationError(
                f"the transfer {name!r} doesn't follow changes, so there is nothing to cut over; "
                "only one that was begun with --follow does"
            )
        if found.state not in _ENDED:
            endpoint = Endpoint.of(found.plan.target)
            Journal(endpoint, name).ask_for_cut_over()
            _wait(endpoint, name, wait_seconds)
            found = entry(endpoint, name)
            if found.seconds_left:
                holder = printable(found.holder or "a runner")
                raise TransferError(
                    f"{holder} has not finished the cut-over of {name!r} in "
                    f"{wait_seconds:g} s; it goes on, and `datalayer transfer show {name}` tells "
                    "how far it is",
                    alias=found.plan.target,
                )
        if found.progress.get("cut_over") != "asked":
            return report_of(found)
    return resume(name, target=target, on_progress=on_progress)


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
    with _working(name, target, wait_seconds) as (found, lease):
        if found.state not in ("rolling_back", "rolled_back"):
            Runner(found, lease, on_progress or _silent).verify()
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

    Documents that a move deleted are put back first. Where the target has documents that can't be
    told to be this transfer's, because they have changed or others have put them there, nothing
    is done, unless with ``force``: it takes them back, too, as they are now. Where the source has
    another document of an ``_id`` by now, both stay in any case: with ``force``, all the rest is
    taken back.

    Raises:
        ConfigurationError: where no transfer has that name.
        TransferError: while another runner is at work, when the target has changed, and for
            whatever stops it; calling it again goes on with it.
    """
    with _working(name, target, wait_seconds) as (found, lease):
        if found.state != "rolled_back":
            taking_back = Rollback(found.plan, lease, on_progress or _silent, force=force)
            taking_back.run(begun=found.state == "rolling_back")
    return show(name, target=found.plan.target)


def show(name: str, *, target: str | None = None) -> Report:
    """How the transfer ``name`` stands.

    Raises:
        ConfigurationError: where no transfer has that name.
    """
    with explained(f"looking for the transfer {name!r}"):
        return report_of(_one(name, target))


def transfers() -> list[Report]:
    """All transfers into the connected databases, the latest first; one whose entry in the journal
    is not as it was made is ``damaged``."""
    with explained("looking for transfers"):
        return [report_of(each) for each in known()]


def find(name: str, target: str | None = None) -> Entry:
    """The journal's entry of a transfer, in ``target`` or in any connected database.

    Raises:
        ConfigurationError: where there is none, or more than one.
        TransferError: where it is damaged.
    """
    found = _one(name, target)
    if isinstance(found, Damaged):
        raise found.error()
    return found


def _one(name: str, target: str | None) -> Entry | Damaged:
    found = known(name, target)
    if not found:
        raise ConfigurationError(
            f"no connected database knows a transfer {name!r}; `datalayer transfer list` shows all"
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"several databases know a transfer {name!r}; say which one with --to"
        )
    return found[0]


def known(name: str | None = None, target: str | None = None) -> list[Entry | Damaged]:
    """The transfers into ``target``, or into any connected database, the latest first; with
    ``name``, those that are called so.

    Two aliases may be the same database: an entry counts for the alias that its plan names, a
    damaged one for the first.
    """
    found: list[Entry | Damaged] = []
    endpoints: list[Endpoint] = []
    for alias in registry.aliases() if target is None else [target]:
        if target is None and registry.connection(alias).settings.kind == "mongomock":
            continue  # without a journal
        endpoint = Endpoint.of(alias)
        is_first = not any(same_database(endpoint, other) for other in endpoints)
        found += [
            each
            for each in entries(endpoint, name)
            if (is_first if isinstance(each, Damaged) else each.target == alias)
        ]
        endpoints.append(endpoint)
    return sorted(found, key=lambda each: each.created_at, reverse=True)


@contextmanager
def _working(name: str, target: str | None, wait_seconds: float) -> Iterator[tuple[Entry, Lease]]:
    advice = f"; `datalayer transfer resume {name}` goes on with it"
    with explained(f"the transfer {name!r}", advice):
        _refuse_transaction()
        found = find(name, target)
        endpoint = Endpoint.of(found.plan.target)
        _wait(endpoint, name, wait_seconds)
        journal = Journal(endpoint, name, followed=found.plan.follow)
        with held(journal, found.plan.lease_seconds) as lease:
            yield entry(endpoint, name), lease


def _wait(endpoint: Endpoint, name: str, seconds: float) -> None:
    """Wait at most ``seconds`` until nobody is at work."""
    ends = monotonic() + seconds
    while seconds and entry(endpoint, name).seconds_left and monotonic() < ends:
        time.sleep(_ASK_SECONDS)


def _refuse_transaction() -> None:
    if current() is not None:
        raise TransferError(
            "a transfer can't run inside a transaction: it has its own; call it outside"
        )


def _silent(_: Progress) -> None:
    """Nobody wants to know."""
