"""Performance issue 5: how are connections used?"""

from __future__ import annotations

from collections.abc import Iterator

from datalayer.doctor.facts import AliasFacts, Document, Session, Unknown
from datalayer.doctor.findings import Remark, note, ok, skipped, warning

_CROWDED_SHARE = 0.8
_MOST_NEW_A_SECOND = 1.0
_LONG_ENOUGH_SECONDS = 60
_ENOUGH_CONNECTIONS = 20
_MOST_NAMES = 5
_ONE_CLIENT = "keep one client for the life of a process: connect at start-up, not per request"


def judge_usage(facts: AliasFacts) -> Iterator[Remark]:
    """The server's connections, who holds them, and how long those of this process live."""
    if facts.own_pool is not None:
        yield from _own(facts.own_pool)
    session = facts.server
    if not isinstance(session, Session):
        yield skipped("no session could be opened")
        return
    if isinstance(session.status, Unknown):
        yield skipped(f"the server's connections: {session.status.why}")
        return
    yield from _servers(session.status)
    if isinstance(session.clients, Unknown):
        yield skipped(f"who holds connections: {session.clients.why}")
    elif session.clients:
        names = ", ".join(
            f"{client['name']} {client['connections']}" for client in session.clients[:_MOST_NAMES]
        )
        yield ok(f"connections by application name: {names}")


def _servers(status: Document) -> Iterator[Remark]:
    connections, uptime = status["connections"], max(status["uptime"], 1.0)
    current, created = connections["current"], connections["totalCreated"]
    limit = current + connections["available"]
    a_second = created / uptime
    saw = (
        f"{current} of {limit} connections are open, {connections.get('active', 0)} at work; "
        f"{created} were opened in {_duration(uptime)}"
    )
    crowded = current > limit * _CROWDED_SHARE
    churned = uptime >= _LONG_ENOUGH_SECONDS and a_second > _MOST_NEW_A_SECOND
    if crowded:
        yield warning(saw, "lower MAX_POOL_SIZE or the number of processes, or raise the limit")
    if churned:
        yield warning(f"{saw}, {a_second:.1f} a second", _ONE_CLIENT)
    if not crowded and not churned:
        yield ok(saw)
    rejected = connections.get("rejected", 0)
    if rejected:
        yield warning(
            f"the server has turned away {rejected} connections because it had too many",
            "lower MAX_POOL_SIZE or the number of processes, or raise the limit",
        )


def _own(pool: Document) -> Iterator[Remark]:
    created, closed = pool["created"], pool["closed"]
    saw = f"this process has opened {created} connections and closed {closed}"
    if created >= _ENOUGH_CONNECTIONS and closed > created / 2:
        yield warning(f"{saw}: they do not last", f"look for network errors, and {_ONE_CLIENT}")
    else:
        yield ok(saw)
    if pool["cleared"]:
        yield note(
            f"network errors made the driver drop all connections of a server "
            f"{pool['cleared']} times",
            "look at the network and at the server's log of that time",
        )


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
