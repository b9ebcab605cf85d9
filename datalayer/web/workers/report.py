"""What one worker tells the others of itself: counts, states and names, and nothing of documents.

Made from the monitors, written as JSON, and read back with every value checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

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
Row = TypeVar("Row", Bucket, SlowCommand, Failure)


@dataclass(frozen=True)
class Figures:
    """What is known of one database besides its status and its counts."""

    commands: tuple[Bucket, ...] = ()
    """How long the commands of the last five to ten minutes took."""
    checkouts: tuple[Bucket, ...] = ()
    """How long operations waited for a connection in that time."""
    slow_commands: tuple[SlowCommand, ...] = ()
    """The last ones, the latest first."""
    failures: tuple[Failure, ...] = ()
    """What failed, by kind, the latest first."""


@dataclass(frozen=True, kw_only=True)
class Database(Figures):
    """What one worker knows of one database."""

    state: str
    counts: Numbers
    """By the names of ``COUNTED``."""
    gauges: Numbers
    """How the pool is now, by the names that ``status()`` has for it."""


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
    databases = {
        connection.alias: _of_connection(connection, gone.get(connection.alias, {}))
        for connection in registry.connections()
    }
    for alias in gone.keys() - databases.keys():
        nothing_open = dict.fromkeys(_POOL_GAUGES, 0)
        databases[alias] = Database(state=_state(alias), counts=gone[alias], gauges=nothing_open)
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


def figures_of(connection: Connection) -> Figures:
    """What the connection's monitors remember."""
    monitors = connection.monitors
    return Figures(
        commands=monitors.commands.latencies(),
        checkouts=monitors.pool.checkouts(),
        slow_commands=monitors.commands.slow_commands(),
        failures=monitors.failures.latest(),
    )


def _of_connection(connection: Connection, gone: Numbers) -> Database:
    settings = connection.settings
    sizes = {"max_size": settings.max_pool_size, "min_size": settings.min_pool_size}
    pool = connection.monitors.pool.snapshot() | sizes
    return Database(
        state=_state(connection.alias),
        counts=counted_by(connection, gone),
        gauges={name: pool[name] or 0 for name in _POOL_GAUGES},
        **vars(figures_of(connection)),
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
        commands=_rows(Bucket, found["commands"]),
        checkouts=_rows(Bucket, found["checkouts"]),
        slow_commands=_rows(SlowCommand, found["slow_commands"]),
        failures=_rows(Failure, found["failures"]),
    )


def _rows(kind: type[Row], found: Any) -> tuple[Row, ...]:
    names = [each.name for each in fields(kind)]
    return tuple(kind(**{name: _CHECKS[name](each[name]) for name in names}) for each in found)


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


def _whole(value: Any) -> int:
    return int(_number(value))


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("alias", "kind", "operation", "command"), _text),
    **dict.fromkeys(("host", "collection"), _optional(_text)),
    **dict.fromkeys(("at", "first_at", "last_at"), _moment),
    **dict.fromkeys(("ms", "from_ms", "to_ms"), _number),
    "count": _whole,
    "documents": _optional(_whole),
}
"""Of buckets, slow commands and failures, by the names of their fields."""
