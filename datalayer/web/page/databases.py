"""What the page shows of each database: a tile for the glance, a section for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from datalayer.monitoring import Bucket, Failure, SlowCommand
from datalayer.web.page.components import card, facts, state, table
from datalayer.web.page.formatting import duration, moment, number, plural, tone_of
from datalayer.web.page.markup import Content, Markup, element, joined
from datalayer.web.page.plots import bar, distribution, pool_bar
from datalayer.web.workers import Figures

Entry = Mapping[str, Any]
Row = TypeVar("Row")

_SHOWN = 8  # slow commands; a reader unfolds the others

_BREAKER = {
    None: "none: the database is required",
    "closed": "closed: calls pass",
    "open": "open: calls fail at once",
}


_TOPOLOGIES = {
    "Single": "one server, connected directly",
    "ReplicaSetWithPrimary": "a replica set with its primary",
    "ReplicaSetNoPrimary": "a replica set without a primary",
    "Sharded": "a sharded cluster",
    "LoadBalanced": "behind a load balancer",
    "Unknown": "not known",
}
_ROLES = {
    "Standalone": "standalone",
    "Mongos": "router",
    "RSPrimary": "primary",
    "RSSecondary": "secondary",
    "RSArbiter": "arbiter",
    "RSOther": "other member",
    "RSGhost": "not initiated",
    "LoadBalancer": "load balancer",
}
"""The names of the Server Discovery and Monitoring specification, in plain words."""


def tile(key: str, alias: str, entry: Entry) -> Markup:
    """The figures that matter most, with a link to the rest."""
    pool, commands = entry["pool"], entry["commands"]
    name = element(
        "span", element("span", alias), state(tone_of(entry), entry["state"]), class_="named"
    )
    shown = facts(
        {
            "ping": duration(entry["latency_ms"]),
            "pool in use": f"{number(pool['in_use'])} of {_most(pool)}",
            "p95": duration(commands["p95_ms"]),
            "failed": number(commands["failed"]),
        }
    )
    return element("li", element("a", name, shown, href=f"#{key}"))


def section(key: str, alias: str, entry: Entry, figures: Figures) -> Markup:
    """All there is to say of one database."""
    head = joined(alias, " ", state(tone_of(entry), entry["state"]))
    if entry["uri"] is None:
        kind = "required" if entry["required"] else "optional"
        never = f"This process is not connected to it ({kind})."
        return card(key, head, _trouble(entry), element("p", never, class_="about"))
    return card(
        key,
        head,
        element("p", *_about(entry), class_="about"),
        _trouble(entry),
        element(
            "div",
            _members(entry),
            _pool(entry),
            _commands(entry["commands"], figures.commands),
            _checkouts(entry["pool"], figures.checkouts),
            class_="parts",
        ),
        _latest_first("Failures", figures.failures, _failed_table),
        _latest_first("Slow commands", figures.slow_commands, _slow_table),
    )


def _about(entry: Entry) -> list[Content]:
    said: list[Content] = [
        "required" if entry["required"] else "optional",
        joined("database ", element("code", entry["database"])),
        f"MongoDB {entry['server_version']}" if entry["server_version"] else None,
        joined("connected since ", moment(entry["connected_since"]))
        if entry["connected_since"]
        else "never connected",
        element("code", entry["uri"]),
    ]
    known = [each for each in said if each is not None]
    return [joined(" · " if at else None, each) for at, each in enumerate(known)]


def _trouble(entry: Entry) -> Markup | None:
    if not entry["last_error"]:
        return None
    kind = "trouble bad" if tone_of(entry) == "bad" else "trouble"
    return element("p", entry["last_error"], class_=kind)


def _members(entry: Entry) -> Markup:
    members = entry["members"]
    slowest = max((member["round_trip_ms"] or 0 for member in members), default=0)
    columns = 4 if len(members) > 1 else 3  # a single one is compared with none
    rows = [_member(member, slowest)[:columns] for member in members]
    shown = table(
        f"Servers: {_TOPOLOGIES.get(entry['topology'], entry['topology'] or 'not known')}",
        ("address", "role", "round trip", "compared")[:columns],
        rows,
        (None, "role", "right", "bars")[:columns],
    )
    beats, missed = entry["heartbeats"], entry["heartbeats_failed"]
    heartbeats = f"{plural(beats, 'heartbeat', 'heartbeats')}, {number(missed)} failed"
    breaker = f"circuit breaker {_BREAKER.get(entry['circuit_breaker'], entry['circuit_breaker'])}"
    return element(
        "div",
        shown if rows else element("h3", "Servers: none known"),
        element("p", f"{heartbeats} · {breaker}", class_="soft"),
    )


def _member(member: Mapping[str, Any], slowest: float) -> list[Content]:
    trip = member["round_trip_ms"]
    answers = trip is not None
    role = _ROLES.get(member["type"], member["type"]) if answers else state("warn", "no answer")
    drawn = bar(trip / slowest, f"{duration(trip)}") if answers and slowest else None
    return [member["address"], role, duration(trip), drawn]


def _pool(entry: Entry) -> Markup:
    pool = entry["pool"]
    in_use, idle = pool["in_use"], pool["idle"]
    room = max((pool["max_size"] or 0) - in_use - idle, 0)
    waiting = plural(pool["waiting"], "operation waits", "operations wait")
    return element(
        "div",
        element("h3", f"Connections: {number(pool['open'])} open, at most {_most(pool)}"
                f"{' to each server' if len(entry['members']) > 1 else ''}"),
        pool_bar(in_use, idle, pool["max_size"]),
        element(
            "ul",
            _legend("in-use", f"{number(in_use)} in use"),
            _legend("idle", f"{number(idle)} idle"),
            _legend("room", f"room for {number(room)}") if room else None,
            element("li", state("warn", waiting) if pool["waiting"] else waiting),
            class_="legend",
        ),
        facts(
            {
                "kept open": number(pool["min_size"]),
                "waited in vain": number(pool["timeouts"]),
                "opened": number(pool["created"]),
                "cleared": number(pool["cleared"]),
            }
        ),
    )  # fmt: skip


def _most(pool: Mapping[str, Any]) -> str:
    return number(pool["max_size"]) if pool["max_size"] else "any number"


def _legend(kind: str, text: str) -> Markup:
    return element("li", element("span", class_=f"swatch {kind}"), text)


def _commands(commands: Mapping[str, Any], buckets: Sequence[Bucket]) -> Markup:
    shares = {name: commands[f"{name}_ms"] for name in ("p50", "p95", "p99")}
    counts = {name: number(commands[name]) for name in ("total", "failed", "slow")}
    return element(
        "figure",
        element("h3", "Commands"),
        facts({**{name: duration(value) for name, value in shares.items()}, **counts}),
        _plot(buckets, shares, "How long commands took", "commands"),
    )


def _checkouts(pool: Mapping[str, Any], buckets: Sequence[Bucket]) -> Markup:
    shares = {name: pool[f"checkout_{name}_ms"] for name in ("p50", "p99")}
    return element(
        "figure",
        element("h3", "Waiting for a connection"),
        facts({name: duration(value) for name, value in shares.items()}),
        _plot(buckets, shares, "How long operations waited for a connection", "waits"),
    )


def _plot(
    buckets: Sequence[Bucket], shares: Mapping[str, float | None], title: str, unit: str
) -> Markup:
    if not buckets:
        return element("p", f"No {unit} in the last five to ten minutes.", class_="soft")
    return distribution(buckets, shares, title=title, unit=unit)


def _latest_first(
    title: str, rows: Sequence[Row], table_of: Callable[[str, Sequence[Row]], Markup]
) -> Markup | None:
    if not rows:
        return None
    latest, earlier = rows[:_SHOWN], rows[_SHOWN:]
    summary = element("summary", plural(len(earlier), "earlier one", "earlier ones"))
    return element(
        "div",
        table_of(f"{title}, the latest first", latest),
        element("details", summary, table_of(f"Earlier {title.lower()}", earlier))
        if earlier
        else None,
        class_="slow",
    )


def _failed_table(caption: str, failures: Sequence[Failure]) -> Markup:
    rows = [
        (
            moment(each.last_at, "%H:%M:%S"),
            each.kind,
            f"{each.operation} at {each.host}" if each.host else each.operation,
            number(each.count),
        )
        for each in failures
    ]
    heads = ("last at (UTC)", "what", "in", "times")
    return table(caption, heads, rows, ("still", None, None, "right"))


def _slow_table(caption: str, commands: Sequence[SlowCommand]) -> Markup:
    rows = [
        (
            moment(each.at, "%H:%M:%S"),
            f"{each.command} {each.collection or ''}",
            duration(each.ms),
            number(each.documents),
        )
        for each in commands
    ]
    heads = ("at (UTC)", "command", "took", "docs")
    return table(caption, heads, rows, ("still", None, "right", "right"))
