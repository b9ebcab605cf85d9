"""What one worker tells the others of itself: counts, states and names, and nothing of documents.

Made from the monitors, written as JSON, and read back with every value checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from datalayer import recorder
from datalayer.connections.connection import Connection
from datalayer.connections.registry import registry
from datalayer.monitoring import Bucket, Failure, SlowCommand

_FORMAT = 1
_POOL_COUNTS = ("timeouts", "created", "closed", "cleared")
_POOL_GAUGES = ("open", "in_use", "idle", "waiting", "max_size", "min_size")
_COMMAND_COUNTS = ("total", "failed", "slow")
_HEARTBEAT_COUNTS = ("heartbeats", "heartbeats_failed")
COUNTED = (*_POOL_COUNTS, *_COMMAND_COUNTS, *_HEARTBEAT_COUNTS)
"""What is kept of a worker that has ended."""
_RECORDER_GAUGES = ("waiting", "spool_bytes", "lag_seconds")

Numbers: TypeAlias = Mapping[str, float]


@dataclass(frozen=True)
class Database:
    """What one worker knows of one database."""

    state: str
    counts: Numbers
    """By the names of ``COUNTED``."""
    gauges: Numbers
    """How the pool is now, by the names that ``status()`` has for it."""
    commands: tuple[Bucket, ...] = ()
    checkouts: tuple[Bucket, ...] = ()
    failures: tuple[Failure, ...] = ()
    slow_commands: tuple[SlowCommand, ...] = ()


@dataclass(frozen=True)
class Report:
    """One worker at one moment."""

    process: int
    since: str
    """When it began to tell of itself, as ISO 8601 in UTC, like ``at``."""
    at: str
    databases: Mapping[str, Database] = field(default_factory=dict)
    recorder_counts: Numbers = field(default_factory=dict)
    recorder_gauges: Numbers = field(default_factory=dict)

    def encoded(self) -> bytes:
        """JSON, which ``decoded`` reads back."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def decoded(cls, data: bytes) -> Report:
        """The report that ``encoded`` wrote.

        Raises:
            ValueError: for anything else.
        """
        try:
            found = json.loads(data)
            if found["format"] != _FORMAT:
                raise ValueError("it is of another version of datalayer")
            return cls(
                process=int(_number(found["process"])),
                since=_moment(found["since"]),
                at=_moment(found["at"]),
                databases={_text(k): _database(v) for k, v in found["databases"].items()},
                recorder_counts=numbers(found["recorder_counts"]),
                recorder_gauges=numbers(found["recorder_gauges"]),
            )
        except (AttributeError, KeyError, TypeError, RecursionError) as exc:
            raise ValueError("it is damaged") from exc


def report(since: str, gone: Mapping[str, Numbers]) -> Report:
    """This process now; ``gone`` is what its closed connections had counted."""
    found = {alias: registry.find(alias) for alias in registry.aliases()}
    databases = {
        alias: _of_connection(connection, gone.get(alias, {}))
        for alias, connection in found.items()
        if connection is not None
    }
    for alias in gone.keys() - databases.keys():
        databases[alias] = Database(_state(alias), gone[alias], dict.fromkeys(_POOL_GAUGES, 0))
    stats = {k: v for k, v in recorder.stats().items() if isinstance(v, (int, float))}
    return Report(
        process=os.getpid(),
        since=since,
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        databases=databases,
        recorder_counts={k: v for k, v in stats.items() if k not in _RECORDER_GAUGES},
        recorder_gauges={k: v for k, v in stats.items() if k in _RECORDER_GAUGES},
    )


def counted_by(connection: Connection, before: Numbers) -> Numbers:
    """All that ``connection`` has counted, added to what was counted before it."""
    monitors = connection.monitors
    figures = monitors.pool.snapshot() | monitors.commands.snapshot()
    figures |= monitors.topology.snapshot()
    return {name: before.get(name, 0) + (figures[name] or 0) for name in COUNTED}


def _of_connection(connection: Connection, gone: Numbers) -> Database:
    monitors, settings = connection.monitors, connection.settings
    sizes = {"max_size": settings.max_pool_size, "min_size": settings.min_pool_size}
    pool = monitors.pool.snapshot() | sizes
    return Database(
        state=_state(connection.alias),
        counts=counted_by(connection, gone),
        gauges={name: pool[name] or 0 for name in _POOL_GAUGES},
        commands=monitors.commands.latencies(),
        checkouts=monitors.pool.checkouts(),
        failures=monitors.failures.latest(),
        slow_commands=monitors.commands.slow_commands(),
    )


def _state(alias: str) -> str:
    service = registry.services.get(alias)
    return "disconnected" if service is None else str(service.state)


# Reading back


def _database(found: Any) -> Database:
    return Database(
        state=_text(found["state"]),
        counts=numbers(found["counts"], COUNTED),
        gauges=numbers(found["gauges"], _POOL_GAUGES),
        commands=_buckets(found["commands"]),
        checkouts=_buckets(found["checkouts"]),
        failures=tuple(map(_failure, found["failures"])),
        slow_commands=tuple(map(_slow_command, found["slow_commands"])),
    )


def _failure(found: Any) -> Failure:
    return Failure(
        alias=_text(found["alias"]),
        kind=_text(found["kind"]),
        operation=_text(found["operation"]),
        host=None if found["host"] is None else _text(found["host"]),
        count=int(_number(found["count"])),
        first_at=_moment(found["first_at"]),
        last_at=_moment(found["last_at"]),
    )


def _slow_command(found: Any) -> SlowCommand:
    documents = found["documents"]
    return SlowCommand(
        at=_moment(found["at"]),
        alias=_text(found["alias"]),
        collection=None if found["collection"] is None else _text(found["collection"]),
        command=_text(found["command"]),
        ms=_number(found["ms"]),
        documents=None if documents is None else int(_number(documents)),
    )


def _buckets(found: Any) -> tuple[Bucket, ...]:
    return tuple(
        Bucket(_number(each["from_ms"]), _number(each["to_ms"]), int(_number(each["count"])))
        for each in found
    )


def numbers(found: Any, names: Iterable[str] | None = None) -> dict[str, float]:
    """The numbers of these names in ``found`` (default: of all). Raises ``ValueError`` where one
    is none."""
    wanted = found.keys() if names is None else names
    return {_text(name): _number(found[name]) for name in wanted}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e18:
        raise ValueError("a number in it is damaged")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("a text in it is damaged")
    return value


def _moment(value: Any) -> str:
    return datetime.fromisoformat(_text(value)).astimezone(UTC).isoformat()
