"""Who answers: each worker of the application on this machine, where there are several."""

from __future__ import annotations

from datetime import datetime

from datalayer.web.page.components import card, state, table
from datalayer.web.page.formatting import moment, number, plural, seconds
from datalayer.web.page.markup import Content, Markup, element, joined
from datalayer.web.snapshot import Snapshot
from datalayer.web.workers import Report, Workers

_SILENT_SECONDS = 15.0
"""A worker tells of itself every two seconds."""


def workers(snapshot: Snapshot) -> Markup | None:
    """A row for each; nothing where this process is the only one."""
    all_of_them = snapshot.workers
    if not all_of_them.are_several:
        return _unknown(all_of_them)
    heads = ("process", "state", "in use", "commands", "failed")
    kinds = (None, "role", "right", "right wide", "right")
    rows = [_row(each, snapshot) for each in all_of_them.living]
    return card(
        "workers",
        "Workers",
        table(_caption(all_of_them), heads, rows, kinds),
        *(
            element("p", f"{each.file} can't be read: {each.why}", class_="trouble")
            for each in all_of_them.unreadable
        ),
    )


def scope(snapshot: Snapshot) -> str:
    """One sentence that says whose figures the page shows: all workers', or this process's."""
    if snapshot.workers.are_several:
        living = plural(len(snapshot.workers.living), "worker", "workers")
        return (
            f"Counts, percentiles and plots are the sums of {living} on this machine; the others' "
            "figures are some seconds old. What answers and what doesn't, latencies and servers "
            f"are as process {snapshot.process} sees them."
        )
    return (
        f"Counts and connections are those of process {snapshot.process} alone, since its "
        "start; other workers of the application have their own."
    )


def silent_seconds(report: Report, snapshot: Snapshot) -> float:
    """For how long a worker that lives hasn't told of itself, if that is conspicuous; else 0."""
    if report.process == snapshot.process:
        return 0.0
    taken, told = map(datetime.fromisoformat, (snapshot.taken_at, report.at))
    silent = (taken - told).total_seconds()
    return silent if silent > _SILENT_SECONDS else 0.0


def _unknown(all_of_them: Workers) -> Markup | None:
    if all_of_them.trouble is None:
        return None
    why = f"Other workers are not known: {all_of_them.trouble}."
    return card("workers", "Workers", element("p", why, class_="about"))


def _caption(all_of_them: Workers) -> str:
    living = f"{plural(len(all_of_them.living), 'lives', 'live')} on this machine"
    ended = all_of_them.ended.workers
    if not ended:
        return living
    have = plural(ended, "has ended: its counts are", "have ended: their counts are")
    return f"{living}, {have} in the sums"


def _row(report: Report, snapshot: Snapshot) -> list[Content]:
    databases = report.databases.values()
    in_use = sum(each.gauges["in_use"] for each in databases)
    most = sum(each.gauges["max_size"] for each in databases)
    own = report.process == snapshot.process
    return [
        joined(f"{report.process}{', this one' if own else ''}, since ", _since(report, snapshot)),
        _state(report, snapshot),
        f"{number(in_use)} of {number(most)}" if most else number(in_use),
        number(sum(each.counts["total"] for each in databases)),
        number(sum(each.counts["failed"] for each in databases)),
    ]


def _since(report: Report, snapshot: Snapshot) -> Markup:
    same_day = report.since[:10] == snapshot.taken_at[:10]
    return moment(report.since, "%H:%M:%S" if same_day else "%Y-%m-%d %H:%M")


def _state(report: Report, snapshot: Snapshot) -> Markup:
    silent = silent_seconds(report, snapshot)
    if silent:
        return state("warn", f"silent for {seconds(silent)}")
    away = [
        f"{alias} {database.state}"
        for alias, database in sorted(report.databases.items())
        if database.state != "connected"
    ]
    return state("warn", ", ".join(away)) if away else state("good", "connected")
