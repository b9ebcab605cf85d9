"""The demo's chapters: connect, load, ask, look at the status, lose analytics and get it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from time import perf_counter
from typing import IO, Any

from datalayer import db
from datalayer.cli.demo.data import Batch, World
from datalayer.cli.demo.outage import ANALYTICS_SECONDS, Outage, run_outage
from datalayer.cli.demo.queries import ask
from datalayer.cli.demo.screen import Screen
from datalayer.cli.demo.servers import DemoServers
from datalayer.cli.tables import Hosts, Name, Prose
from datalayer.embedded import EmbeddedMongo
from datalayer.indexes import alias_of
from datalayer.models import User
from datalayer.progress import progress

_BATCH = 500


def play(
    servers: DemoServers, screen: Screen, *, scale: float, seed: int, messages: IO[str]
) -> dict[str, Any]:
    """Play all chapters; returns what happened, JSON-ready. Progress goes to ``messages``."""
    now = datetime.now(UTC)
    world = World(scale=scale, seed=seed, now=now)
    screen.heading("1. Connect two databases side by side")
    started = perf_counter()
    with db.connected(servers.settings) as connected:
        connect_seconds = perf_counter() - started
        _show_connections(screen, connected, connect_seconds)
        return {
            "servers": servers.name,
            "scale": scale,
            "seed": seed,
            "connect_seconds": round(connect_seconds, 3),
            "loaded": _load(world, screen, messages),
            "queries": _ask(world, now, screen),
            "status": _look_at_status(screen),
            "outage": _lose_analytics(servers.analytics, world.users[0], screen),
        }


def _show_connections(screen: Screen, status: Mapping[str, Any], seconds: float) -> None:
    screen.say(
        f"db.connect_all() took {seconds:.2f} s: both verified by a ping, pools warm, and the "
        "collections and indexes of all models built."
    )
    screen.table(
        (Name("alias"), Name("database"), Hosts("server"), "MongoDB", "pool max/min"),
        [
            (
                one["alias"],
                one["database"],
                ", ".join(one["hosts"]),
                one["server_version"],
                f"{one['pool']['max_size']}/{one['pool']['min_size']}",
            )
            for one in status.values()
        ],
    )


def _load(world: World, screen: Screen, messages: IO[str]) -> dict[str, Any]:
    screen.heading("2. Load users and what they did, through the models")
    loaded: dict[str, Any] = {}
    for batch in world.batches():
        started = perf_counter()
        _insert(batch, messages)
        loaded[batch.model.__name__] = {
            "database": alias_of(batch.model),
            "documents": batch.model.objects.count(),
            "seconds": round(perf_counter() - started, 2),
        }
    screen.table(
        (Name("model"), Name("alias"), "documents", "seconds"),
        [
            (name, one["database"], one["documents"], one["seconds"])
            for name, one in loaded.items()
        ],
    )
    return loaded


def _insert(batch: Batch, messages: IO[str]) -> None:
    documents = batch.make()
    with progress(batch.model.__name__, batch.count, stream=messages) as advance:
        while chunk := list(islice(documents, _BATCH)):
            for document in chunk:
                document.validate()  # a bulk insert doesn't
            batch.model.objects.insert(chunk, load_bulk=False)
            advance(len(chunk))


def _ask(world: World, now: datetime, screen: Screen) -> list[dict[str, Any]]:
    screen.heading("3. Ask both databases")
    answers = ask(world, now)
    screen.table(
        (Prose("question"), Name("alias"), "results", "ms", Name("index")),
        [(one.question, one.database, one.results, one.ms, one.index) for one in answers],
    )
    return [asdict(one) for one in answers]


def _look_at_status(screen: Screen) -> dict[str, Any]:
    screen.heading("4. Look at the status: pools, commands, latencies")
    status = db.status()
    _show_status(screen, status)
    return status


def _show_status(screen: Screen, status: Mapping[str, Any]) -> None:
    figures = ("ping ms", "pool open", "in use", "max", "commands", "failed", "p50 ms", "p99 ms")
    rows = []
    for one in status.values():
        pool, commands = one["pool"], one["commands"]
        rows.append(
            (
                one["alias"],
                one["state"],
                one["latency_ms"],
                *(pool[name] for name in ("open", "in_use", "max_size")),
                *(commands[name] for name in ("total", "failed", "p50_ms", "p99_ms")),
            )
        )
    screen.table(("alias", "state", *figures), rows)


def _lose_analytics(
    server: EmbeddedMongo | None, user: User, screen: Screen
) -> dict[str, Any] | None:
    screen.heading("5. Kill the analytics server, on purpose")
    if server is None:
        screen.say("Left out: the demo never stops a server that it did not start.")
        return None
    outage = run_outage(server, user)
    _show_outage(outage, screen)
    return asdict(outage)


def _show_outage(outage: Outage, screen: Screen) -> None:
    phases = {"healthy": outage.healthy, "killed": outage.down, "back": outage.back}
    screen.table(
        ("analytics", "payments", "failed", "median ms", "slowest ms", *outage.down.events),
        [
            (name, one.count, one.failed, one.p50_ms, one.max_ms, *one.events.values())
            for name, one in phases.items()
        ],
    )
    healthy, down = outage.healthy, outage.down
    screen.say(
        f"Analytics went away and {down.count - down.failed} of {down.count} payments went "
        f"through: {down.p50_ms:.1f} ms each (median; {healthy.p50_ms:.1f} ms with analytics), "
        f"the slowest {down.max_ms:.0f} ms. The pools are apart, and a request writes its event "
        "only if db.database1.is_connected, which asks no server."
    )
    screen.say(
        f"A write without that question, with a deadline of {ANALYTICS_SECONDS * 1000:.0f} ms, "
        f"failed with {outage.write_error} after {outage.write_ms:.0f} ms: while a server is "
        "away, PyMongo looks at the time every half second. Meanwhile db.status() said:"
    )
    _show_status(screen, outage.status_down)
    if outage.rejoined_seconds is None:
        screen.say("The server was started again, but analytics did not join.")
    else:
        screen.say(
            f"The server was started again, and {outage.rejoined_seconds:.1f} s later analytics "
            "had joined by itself."
        )
