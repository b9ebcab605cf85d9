"""What the status page shows, gathered at one moment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import datalayer
from datalayer import recorder
from datalayer.connections.registry import registry
from datalayer.monitoring import percentile_ms
from datalayer.web.migrations_known import Migrations
from datalayer.web.transfers_and_outbox import Work, work_in
from datalayer.web.workers import Figures, Together, Workers, figures_of, publisher

_SHARE_OF_WORK = 0.5


@dataclass(frozen=True)
class Snapshot:
    """One process's view of its databases; durations in milliseconds where nothing else is said.

    The mappings are by alias, but ``recorder``, which is ``recorder.stats()``.
    """

    taken_at: str
    process: int
    host: str
    version: str
    databases: Mapping[str, Mapping[str, Any]]
    figures: Mapping[str, Figures] = field(default_factory=dict)
    work: Mapping[str, Work] = field(default_factory=dict)
    recorder: Mapping[str, Any] = field(default_factory=dict)
    migrations: Migrations = field(default_factory=Migrations)
    workers: Workers = field(default_factory=Workers)
    """All workers of the application on this machine, this process included."""

    def as_json(self) -> dict[str, Any]:
        """JSON-ready: this process's view, each worker's, and in ``together`` their sums."""
        together = {alias: asdict(self.workers.together(alias)) for alias in self.databases}
        migrations = self.migrations.as_json()
        return asdict(self) | {"migrations": migrations, "together": together}

    def of_all_workers(self) -> Snapshot:
        """This snapshot with the sums of all workers in the place of this process's figures."""
        if not self.workers.are_several:
            return self
        sums = {alias: self.workers.together(alias) for alias in self.databases}
        return replace(
            self,
            databases={alias: _with(self.databases[alias], sums[alias]) for alias in sums},
            figures=sums,
            recorder={**self.recorder, **self.workers.recorder()} if self.recorder else {},
        )


def take_snapshot(
    status: Mapping[str, Mapping[str, Any]],
    timeout_seconds: float,
    migrations: Migrations | None = None,
) -> Snapshot:
    """Put ``status`` together with what the process and the databases know besides, and with what
    is known of ``migrations``.

    Databases that are away by their status aren't asked. The others have half of
    ``timeout_seconds`` to tell what is under way in them.
    """
    connections = {alias: registry.find(alias) for alias in status}
    answering = [alias for alias, entry in status.items() if entry["connected"]]
    return Snapshot(
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        process=os.getpid(),
        host=socket.gethostname(),
        version=datalayer.__version__,
        databases=status,
        figures={a: Figures() if c is None else figures_of(c) for a, c in connections.items()},
        work=work_in(answering, timeout_seconds * _SHARE_OF_WORK),
        recorder=recorder.stats(),
        migrations=migrations or Migrations(),
        workers=publisher.workers(),
    )


def _with(entry: Mapping[str, Any], sums: Together) -> dict[str, Any]:
    p50, p95, p99 = (percentile_ms(sums.commands, share) for share in (0.5, 0.95, 0.99))
    wait_p50, wait_p99 = (percentile_ms(sums.checkouts, share) for share in (0.5, 0.99))
    numbers = {**sums.counts, **sums.gauges}
    pool = {name: numbers.get(name, value) for name, value in entry["pool"].items()}
    commands = {name: numbers.get(name, value) for name, value in entry["commands"].items()}
    beats = {name: numbers.get(name, entry[name]) for name in ("heartbeats", "heartbeats_failed")}
    return {
        **entry,
        **beats,
        "pool": {**pool, "checkout_p50_ms": wait_p50, "checkout_p99_ms": wait_p99},
        "commands": {**commands, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99},
    }
