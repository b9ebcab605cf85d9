"""What is shown below "Worth a look": it doesn't make a process unready or degraded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datalayer.web.page.formatting import number, plural, seconds
from datalayer.web.page.workers import silent_seconds
from datalayer.web.snapshot import Snapshot
from datalayer.web.transfers_and_outbox import Transfer, Work

_LONG_SECONDS = 60.0


def hints(snapshot: Snapshot) -> tuple[str, ...]:
    """One sentence for each such thing, which begins with what it is about."""
    return (
        *_of_databases(snapshot),
        *_of_failures(snapshot),
        *_of_workers(snapshot),
        *_of_work(snapshot.work),
        *snapshot.migrations.hints,
        *_of_recorder(snapshot.recorder),
    )


def _of_databases(snapshot: Snapshot) -> Iterator[str]:
    for alias, entry in snapshot.databases.items():
        pool = entry["pool"]
        if pool["waiting"]:
            waiting = plural(pool["waiting"], "operation waits", "operations wait")
            yield f"{alias}: {waiting} for a connection now"
        if pool["timeouts"]:
            timeouts = plural(pool["timeouts"], "operation", "operations")
            yield f"{alias}: {timeouts} got no connection in time since the start"
        if entry["circuit_breaker"] == "open":
            yield f"{alias}: calls fail at once until it is back (the circuit breaker is open)"


def _of_failures(snapshot: Snapshot) -> Iterator[str]:
    """What failed last in a database that is away."""
    for alias, entry in snapshot.databases.items():
        figures = snapshot.figures.get(alias)
        if entry["connected"] or figures is None or not figures.failures:
            continue
        last = figures.failures[0]
        where = f" at {last.host}" if last.host else ""
        times = plural(last.count, "time", "times")
        yield f"{alias}: what failed last was {last.operation}{where}: {last.kind}, {times}"


def _of_workers(snapshot: Snapshot) -> Iterator[str]:
    for each in snapshot.workers.living[1:]:
        silent = silent_seconds(each, snapshot)
        if silent:
            yield f"process {each.process}: it lives, and has told nothing for {seconds(silent)}"
            continue
        for alias, database in each.databases.items():
            here = snapshot.databases.get(alias)
            if database.state != "connected" and here is not None and here["connected"]:
                yield f"process {each.process}: {alias} is {database.state} there"
    for file in snapshot.workers.unreadable:
        yield f"a worker is not counted: {file.file} can't be read ({file.why})"


def _of_work(work: Mapping[str, Work]) -> Iterator[str]:
    for alias, each in work.items():
        if each.error:
            yield f"{alias}: what is under way in it is not known ({each.error})"
        for transfer in each.transfers:
            yield from _of_transfer(transfer)
        if each.outbox_failing:
            yield (
                f"{alias}: {each.outbox_failing} in its outbox could not be delivered; "
                "`datalayer outbox list` tells more"
            )
        oldest = each.outbox_oldest_seconds
        if oldest is not None and oldest > _LONG_SECONDS:
            yield f"{alias}: the oldest document in its outbox has waited for {seconds(oldest)}"


def _of_transfer(transfer: Transfer) -> Iterator[str]:
    what = f"transfer {transfer.name}"
    if transfer.state == "drifted":
        yield f"{what}: both sides differ; `datalayer transfer show {transfer.name}` tells more"
    elif not transfer.seconds_left and transfer.state == "rolling_back":
        yield (
            f"{what}: taking it back was interrupted; `datalayer transfer rollback "
            f"{transfer.name}` goes on with it"
        )
    elif not transfer.seconds_left and transfer.state != "new":
        yield (
            f"{what}: interrupted, nobody is at work on it; `datalayer transfer resume "
            f"{transfer.name}` goes on with it"
        )


def _of_recorder(stats: Mapping[str, Any]) -> Iterator[str]:
    if not stats:
        return
    if stats["dropped"]:
        yield f"recorder: {plural(stats['dropped'], 'event was', 'events were')} lost"
    if stats["lag_seconds"] > _LONG_SECONDS:
        yield (
            f"recorder: {number(stats['waiting'])} events wait, the oldest for "
            f"{seconds(stats['lag_seconds'])}"
        )
