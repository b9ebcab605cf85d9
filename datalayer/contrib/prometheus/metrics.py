"""Every metric that is exported: its name, its labels, and how it is read from the monitors. No
server is asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pymongo.topology_description import TopologyDescription

from datalayer import recorder
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.connections.replica_lag import largest_lag_seconds
from datalayer.monitoring import Monitors
from datalayer.monitoring.durations import Distribution
from datalayer.outbox.backoff import backoff_of

_BY_ALIAS = ("alias",)
_STATES = ("connected", "degraded", "unavailable", "connecting", "disconnected")
_ROLES = {
    "RSPrimary": "primary",
    "RSSecondary": "secondary",
    "RSArbiter": "arbiter",
    "Standalone": "standalone",
    "Mongos": "mongos",
    "LoadBalancer": "load_balancer",
    "Unknown": "unknown",
}
_OTHER_ROLE = "other"


@dataclass(frozen=True)
class Metric:
    """One exported metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = _BY_ALIAS
    together: Literal["", "livesum", "livemax"] = ""
    """How the gauges of several processes become one."""


Reading: TypeAlias = tuple[Metric, tuple[str, ...], float | Distribution]
"""A metric, the values of its labels, and its value."""


def _counter(name: str, meaning: str, labels: tuple[str, ...] = _BY_ALIAS) -> Metric:
    return Metric(name, "counter", meaning, labels)


def _sum(name: str, meaning: str, labels: tuple[str, ...] = _BY_ALIAS) -> Metric:
    return Metric(name, "gauge", meaning, labels, "livesum")


def _largest(name: str, meaning: str, labels: tuple[str, ...] = _BY_ALIAS) -> Metric:
    return Metric(name, "gauge", meaning, labels, "livemax")


_STATE = _sum(
    "datalayer_database_state",
    "Processes that see the database in this state: 1 or 0 for a single process.",
    ("alias", "state"),
)
_REQUIRED = _largest(
    "datalayer_database_required", "1 for a database that the application can't do without."
)
_BREAKER = _sum(
    "datalayer_circuit_breaker_open",
    "Processes that refuse operations on an optional database because it is away.",
)
_SERVERS = _largest(
    "datalayer_servers",
    "Servers that the driver knows, by role; unknown ones don't answer.",
    ("alias", "role"),
)
_LAG = _largest(
    "datalayer_replication_lag_seconds",
    "How far the last of the secondaries is behind the primary, as of the last heartbeats.",
)
_CONNECTIONS = _sum(
    "datalayer_pool_connections", "Open connections, idle or used.", ("alias", "state")
)
_CONNECTIONS_MAX = _sum(
    "datalayer_pool_connections_max", "The most connections allowed to each server."
)
_CONNECTIONS_MIN = _sum(
    "datalayer_pool_connections_min", "The connections kept open to each server."
)
_PENDING = _sum("datalayer_pool_pending_requests", "Operations that wait for a connection.")
_WAITS = Metric(
    "datalayer_pool_wait_seconds",
    "histogram",
    "How long operations waited for the connections that they got.",
)
_POOL_COUNTERS = {
    "timeouts": _counter(
        "datalayer_pool_timeouts_total", "Operations that got no connection in time."
    ),
    "created": _counter("datalayer_pool_connections_created_total", "Connections begun."),
    "closed": _counter("datalayer_pool_connections_closed_total", "Connections ended."),
    "cleared": _counter(
        "datalayer_pool_clears_total",
        "Times that a network error ended all connections to a server.",
    ),
}
_COMMANDS = Metric(
    "datalayer_command_duration_seconds",
    "histogram",
    "How long commands took, failed ones included.",
)
_COMMAND_COUNTERS = {
    "failed": _counter(
        "datalayer_command_failures_total", "Commands that got an error, or no answer."
    ),
    "slow": _counter("datalayer_slow_commands_total", "Commands that took longer than SLOW_MS."),
}
_HEARTBEAT_COUNTERS = {
    "heartbeats": _counter(
        "datalayer_heartbeats_total", "Checks of a server by the driver that have ended."
    ),
    "heartbeats_failed": _counter(
        "datalayer_heartbeat_failures_total", "Checks that a server did not answer."
    ),
}
_RECORDER_COUNTERS = {
    name: _counter(f"datalayer_recorder_events_{name}_total", meaning, ())
    for name, meaning in {
        "written": "Events that are stored.",
        "dropped": "Events that will not be stored, for whatever reason.",
        "refused": "Of those dropped, events that can't be stored.",
        "retried": "Events that were sent again.",
        "spooled": "Events that were written to the spool.",
        "recovered": "Events that other processes had left in the spool.",
    }.items()
}
_RECORDER_GAUGES = {
    "waiting": _sum("datalayer_recorder_events_waiting", "Events that are not stored yet.", ()),
    "spool_bytes": _sum("datalayer_recorder_spool_bytes", "What the spool takes on disk.", ()),
    "lag_seconds": _largest(
        "datalayer_recorder_lag_seconds", "How long the oldest event has waited.", ()
    ),
}
_RELAYS = _sum("datalayer_outbox_relays", "Processes that deliver from the database's outbox.")
_UNDELIVERED = _largest(
    "datalayer_outbox_failing",
    "Keys, and documents without one, that a process which delivers could not deliver last.",
)
_MIGRATIONS = _largest(
    "datalayer_migrations_pending",
    "Migrations that were not applied when connecting, /readyz or the status page looked last.",
    (),
)

METRICS: tuple[Metric, ...] = (
    _STATE, _REQUIRED, _BREAKER, _SERVERS, _LAG,
    _CONNECTIONS, _CONNECTIONS_MAX, _CONNECTIONS_MIN, _PENDING, _WAITS, *_POOL_COUNTERS.values(),
    _COMMANDS, *_COMMAND_COUNTERS.values(), *_HEARTBEAT_COUNTERS.values(),
    *_RECORDER_COUNTERS.values(), *_RECORDER_GAUGES.values(), _RELAYS,
    _UNDELIVERED, _MIGRATIONS,
)  # fmt: skip
"""All that is exported, in the order of the page on metrics."""


def gauges() -> Iterator[Reading]:
    """How each database that is configured or connected does now, and the recorder."""
    for alias in dict.fromkeys([*(registry.settings or ()), *registry.aliases()]):
        yield from _of_alias(alias)
    stats = recorder.stats()
    yield from ((metric, (), stats[name]) for name, metric in _RECORDER_GAUGES.items())
    yield from _of_outboxes()
    if registry.pending_migrations is not None:
        yield _MIGRATIONS, (), registry.pending_migrations


def _of_outboxes() -> Iterator[Reading]:
    for alias in list(registry.relays):
        yield _RELAYS, (alias,), 1
        connection = registry.find(alias)
        if connection is not None:
            yield _UNDELIVERED, (alias,), backoff_of(connection).failing


def counted() -> Iterator[Reading]:
    """What the recorder and the connected databases have counted in this process."""
    stats = recorder.stats()
    yield from ((metric, (), stats[name]) for name, metric in _RECORDER_COUNTERS.items())
    for connection in registry.connections():
        yield from counted_by(connection.alias, connection.monitors)


def counted_by(alias: str, monitors: Monitors) -> Iterator[Reading]:
    """What ``monitors`` have counted, also those whose client was closed."""
    labels = (alias,)
    yield _WAITS, labels, monitors.pool.waits()
    yield _COMMANDS, labels, monitors.commands.durations()
    for metrics, figures in (
        (_POOL_COUNTERS, monitors.pool.snapshot()),
        (_COMMAND_COUNTERS, monitors.commands.snapshot()),
        (_HEARTBEAT_COUNTERS, monitors.topology.snapshot()),
    ):
        yield from ((metric, labels, figures[name]) for name, metric in metrics.items())


def _of_alias(alias: str) -> Iterator[Reading]:
    connection = registry.find(alias)
    state = _state(alias, connection)
    yield from ((_STATE, (alias, each), float(each == state)) for each in _STATES)
    configured = registry.settings
    if connection is not None:
        yield _REQUIRED, (alias,), float(connection.settings.required)
        yield from _of_connection(connection)
    elif configured is not None and alias in configured:
        yield _REQUIRED, (alias,), float(configured[alias].required)


def _state(alias: str, connection: Connection | None) -> str | None:
    """``None`` in a forked process that hasn't used the database yet, and knows nothing of it."""
    if connection is not None and connection.is_unused:
        return None
    service = registry.services.get(alias)
    return "disconnected" if service is None else str(service.state)


def _of_connection(connection: Connection) -> Iterator[Reading]:
    alias = (connection.alias,)
    pool = connection.monitors.pool.snapshot()
    yield _CONNECTIONS, (*alias, "idle"), pool["idle"]
    yield _CONNECTIONS, (*alias, "used"), pool["in_use"]
    yield _CONNECTIONS_MAX, alias, connection.settings.max_pool_size
    yield _CONNECTIONS_MIN, alias, connection.settings.min_pool_size
    yield _PENDING, alias, pool["waiting"]
    if connection.breaker is not None:
        yield _BREAKER, alias, float(connection.breaker.state == "open")
    description = connection.monitors.topology.description
    if description is not None:
        counts = dict.fromkeys([*_ROLES.values(), _OTHER_ROLE], 0)
        for role in _roles_in(description):
            counts[role] += 1
        yield from ((_SERVERS, (*alias, role), count) for role, count in counts.items())
        lag = largest_lag_seconds(description)
        if lag is not None:
            yield _LAG, alias, lag


def _roles_in(description: TopologyDescription) -> Iterable[str]:
    servers = description.server_descriptions().values()
    return (_ROLES.get(server.server_type_name, _OTHER_ROLE) for server in servers)
