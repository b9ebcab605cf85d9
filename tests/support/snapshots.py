"""Snapshots made up for the tests of the status page: one where all is well, and changes to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from datalayer.monitoring import Bucket, Failure, SlowCommand
from datalayer.web.snapshot import Snapshot
from datalayer.web.transfers_and_outbox import Transfer, Work
from datalayer.web.workers import Figures, Workers
from datalayer.web.workers.aggregation import Ended, Unreadable
from datalayer.web.workers.report import COUNTED, Database, Report

__all__ = [
    "changed",
    "database",
    "failure",
    "hostile",
    "member",
    "several",
    "transfer",
    "trouble",
    "well",
    "worker",
    "workers",
]  # fmt: skip

HOSTILE = "</td><script>alert('canary')</script><b x=\"y\" & \u2028"

_FIGURES = Figures(
    commands=(Bucket(0.48, 0.512, 900), Bucket(0.96, 1.024, 90), Bucket(57.344, 61.44, 10)),
    checkouts=(Bucket(0.005, 0.006, 700), Bucket(0.014, 0.015, 300)),
    slow_commands=(
        SlowCommand("2026-01-02T03:04:05+00:00", "default", "advertisement", "find", 412.0, 20),
    ),
)
_RECORDER = {
    "policy": "spool",
    "recorded": 1000,
    "written": 990,
    "dropped": 0,
    "refused": 0,
    "retried": 1,
    "spooled": 1000,
    "recovered": 0,
    "waiting": 10,
    "spool_bytes": 2048,
    "lag_seconds": 0.2,
}


def member(address: str, kind: str = "RSPrimary", round_trip_ms: float | None = 0.5) -> Any:
    return {"address": address, "type": kind, "round_trip_ms": round_trip_ms}


def database(alias: str, **changes: Any) -> dict[str, Any]:
    """What ``db.status()`` tells of a database that is well."""
    pool = {
        "max_size": 10,
        "min_size": 2,
        "open": 5,
        "in_use": 3,
        "idle": 2,
        "waiting": 0,
        "checkout_p50_ms": 0.005,
        "checkout_p99_ms": 0.014,
        "timeouts": 0,
        "created": 7,
        "closed": 2,
        "cleared": 1,
    }
    commands = {
        "total": 1000,
        "failed": 2,
        "slow": 1,
        "p50_ms": 0.496,
        "p95_ms": 0.992,
        "p99_ms": 59.4,
    }
    return {
        "alias": alias,
        "connected": True,
        "state": "connected",
        "required": alias == "default",
        "database": f"{alias}_data",
        "hosts": ["db-a:27017"],
        "topology": "ReplicaSetWithPrimary",
        "members": [member("db-a:27017"), member("db-b:27017", "RSSecondary", 1.5)],
        "heartbeats": 100,
        "heartbeats_failed": 0,
        "server_version": "6.0.5",
        "latency_ms": 0.6,
        "connected_since": "2026-01-02T01:00:00.000+00:00",
        "uri": "mongodb://app:***@db-a/shop",
        "last_error": None,
        "circuit_breaker": None if alias == "default" else "closed",
        "pool": pool | changes.pop("pool", {}),
        "commands": commands | changes.pop("commands", {}),
        **changes,
    }


def failure(kind: str = "MaxTimeMSExpired (50)", **changes: Any) -> Failure:
    """One that happened three times."""
    made = Failure(
        alias="default",
        kind=kind,
        operation="find advertisement",
        host="db-a:27017",
        count=3,
        first_at="2026-01-02T03:00:00+00:00",
        last_at="2026-01-02T03:04:00+00:00",
    )
    return replace(made, **changes)


def worker(process: int, **changes: Any) -> Report:
    """One that is well, with both databases."""
    gauges = {"open": 5, "in_use": 3, "idle": 2, "waiting": 0, "max_size": 10, "min_size": 2}
    counts = dict.fromkeys(COUNTED, 7)
    seen = Database(
        _FIGURES.commands, _FIGURES.checkouts, state="connected", counts=counts, gauges=gauges
    )
    made = Report(
        process=process,
        since="2026-01-02T01:00:00+00:00",
        at="2026-01-02T03:04:04+00:00",
        databases=dict.fromkeys(("default", "database1"), seen),
    )
    return replace(made, **changes)


def workers() -> Workers:
    """Three that live, one of them in trouble and one silent; some have ended; one can't be
    read."""
    failures = (failure(), failure("NetworkTimeout", operation="heartbeat", host="db-b:27017"))
    away = replace(worker(4712).databases["default"], state="unavailable", failures=failures)
    return Workers(
        living=(
            worker(4711),
            worker(4712, databases={**worker(4712).databases, "default": away}),
            worker(4713, at="2026-01-02T03:00:00+00:00"),
        ),
        ended=Ended(workers=2),
        unreadable=(Unreadable("77-abcdefabcdef.worker", "other users may write it"),),
    )


def transfer(name: str = "nightly", **changes: Any) -> Transfer:
    """One that is under way."""
    running = Transfer(
        name=name,
        state="running",
        source="default",
        target="database1",
        move=True,
        planned=1000,
        begun=250,
        holder="worker:77",
        seconds_left=20.0,
        created_at="2026-01-02T03:00:00+00:00",
        updated_at="2026-01-02T03:04:04+00:00",
    )
    return replace(running, **changes)


def well() -> Snapshot:
    """Two databases that are well."""
    aliases = ("default", "database1")
    return Snapshot(
        taken_at="2026-01-02T03:04:05+00:00",
        process=4711,
        host="web-1",
        version="1.2.3",
        databases={alias: database(alias) for alias in aliases},
        figures=dict.fromkeys(aliases, _FIGURES),
        work=dict.fromkeys(aliases, Work()),
        recorder=_RECORDER,
    )


def changed(alias: str, **changes: Any) -> Snapshot:
    """``well()``, but for one database."""
    snapshot = well()
    databases = {**snapshot.databases, alias: database(alias, **changes)}
    return replace(snapshot, databases=databases)


def trouble() -> Snapshot:
    """Everything that can be shown is shown."""
    snapshot = changed(
        "database1",
        connected=False,
        state="unavailable",
        last_error="no answer",
        circuit_breaker="open",
        latency_ms=None,
        members=[member("db-c:27017", "Unknown", None)],
        pool={"waiting": 3, "timeouts": 2},
    )
    databases = {**snapshot.databases, "empty": database("empty", required=False, members=[])}
    work = {
        "default": Work((transfer(), transfer("old", seconds_left=0.0)), 4, 12, 75.0),
        "empty": Work(error="it did not answer in time"),
    }
    recorder = {**snapshot.recorder, "dropped": 5, "lag_seconds": 90.0}
    return replace(snapshot, databases=databases, work=work, recorder=recorder)


def several() -> Snapshot:
    """Three workers, and some that have ended; and what failed in them."""
    return replace(well(), workers=workers())


def hostile() -> Snapshot:
    """Whatever somebody else can name or say is meant to break the page."""
    entry = database(
        HOSTILE,
        database=HOSTILE,
        uri=HOSTILE,
        state=HOSTILE,
        topology=HOSTILE,
        server_version=HOSTILE,
        last_error=HOSTILE,
        circuit_breaker=HOSTILE,
        members=[member(HOSTILE, HOSTILE), member(HOSTILE, HOSTILE, None)],
    )
    slow = SlowCommand("2026-01-02T03:04:05+00:00", HOSTILE, HOSTILE, HOSTILE, 1.0, None)
    failed = failure(HOSTILE, alias=HOSTILE, operation=HOSTILE, host=HOSTILE)
    seen = replace(
        worker(4711).databases["default"],
        state=HOSTILE,
        failures=(failed,),
        slow_commands=(slow,),
    )
    made = transfer(HOSTILE, state=HOSTILE, source=HOSTILE, target=HOSTILE, holder=HOSTILE)
    return replace(
        well(),
        host=HOSTILE,
        version=HOSTILE,
        databases={HOSTILE: entry},
        figures={HOSTILE: Figures(slow_commands=(slow,))},
        work={HOSTILE: Work((made, replace(made, seconds_left=0.0)), error=HOSTILE)},
        recorder={**well().recorder, "policy": HOSTILE},
        workers=Workers(
            living=(worker(4711, databases={HOSTILE: seen}),),
            unreadable=(Unreadable(HOSTILE, HOSTILE),),
            trouble=HOSTILE,
        ),
    )
