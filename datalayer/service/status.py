"""Puts together what ``status()`` tells of one database; pure, asks nobody."""

from __future__ import annotations

from typing import Any

from datalayer.connections.connection import Connection
from datalayer.connections.registry import DEFAULT_ALIAS
from datalayer.monitoring import Monitors


def disconnected_status(alias: str, state: str, last_error: str | None) -> dict[str, Any]:
    """The status of an alias that has no connection: the same keys, without figures."""
    silent = Monitors(alias, slow_ms=0, emit=lambda name, facts: None)
    return {
        "alias": alias,
        "connected": False,
        "state": state,
        "required": alias == DEFAULT_ALIAS,
        "database": None,
        "hosts": [],
        **silent.topology.snapshot(),
        "server_version": None,
        "latency_ms": None,
        "connected_since": None,
        "uri": None,
        "last_error": last_error,
        "circuit_breaker": None,
        "pool": {"max_size": None, "min_size": None, **silent.pool.snapshot()},
        "commands": silent.commands.snapshot(),
    }


def status_of(
    connection: Connection, state: str, latency_ms: float | None, last_error: str | None
) -> dict[str, Any]:
    """The status of a connection whose ping took ``latency_ms``, or was not answered."""
    settings = connection.settings
    topology = connection.monitors.topology.snapshot()
    answered = latency_ms is not None
    since = connection.connected_since
    members = [member["address"] for member in topology["members"]]
    return {
        "alias": connection.alias,
        "connected": answered,
        "state": _state(state, answered=answered),
        "required": settings.required,
        "database": settings.database,
        "hosts": members or list(settings.hosts),
        **topology,
        "server_version": connection.server_version,
        "latency_ms": None if latency_ms is None else round(latency_ms, 3),
        "connected_since": None if since is None else since.isoformat(timespec="milliseconds"),
        "uri": settings.redacted_uri,
        "last_error": last_error,
        "circuit_breaker": None if connection.breaker is None else connection.breaker.state,
        "pool": {
            "max_size": settings.max_pool_size,
            "min_size": settings.min_pool_size,
            **connection.monitors.pool.snapshot(),
        },
        "commands": connection.monitors.commands.snapshot(),
    }


def _state(state: str, *, answered: bool) -> str:
    """A ping outweighs what the driver's monitoring saw last, up to ten seconds ago."""
    if state in ("connected", "degraded") and not answered:
        return "unavailable"
    if state == "unavailable" and answered:
        return "connected"
    return state
