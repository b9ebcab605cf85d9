"""What the status page shows, gathered at one moment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import datalayer
from datalayer import recorder
from datalayer.core import registry
from datalayer.monitoring import Bucket, SlowCommand
from datalayer.web.work import Work, work_in

__all__ = ["Figures", "Snapshot", "take_snapshot"]

_SHARE_OF_WORK = 0.5


@dataclass(frozen=True)
class Figures:
    """What was counted of one database besides its status."""

    commands: tuple[Bucket, ...] = ()
    """How long the commands of the last five to ten minutes took."""
    checkouts: tuple[Bucket, ...] = ()
    """How long operations waited for a connection in that time."""
    slow_commands: tuple[SlowCommand, ...] = ()
    """The last ones, the latest first."""


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

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def take_snapshot(status: Mapping[str, Mapping[str, Any]], timeout_seconds: float) -> Snapshot:
    """Put ``status`` together with what the process and the databases know besides.

    Databases that are away by their status aren't asked. The others have half of
    ``timeout_seconds`` to tell what is under way in them.
    """
    answering = [alias for alias, entry in status.items() if entry["connected"]]
    return Snapshot(
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        process=os.getpid(),
        host=socket.gethostname(),
        version=datalayer.__version__,
        databases=status,
        figures={alias: _figures_of(alias) for alias in status},
        work=work_in(answering, timeout_seconds * _SHARE_OF_WORK),
        recorder=recorder.stats(),
    )


def _figures_of(alias: str) -> Figures:
    connection = registry.find(alias)
    if connection is None:
        return Figures()
    monitors = connection.monitors
    return Figures(
        commands=monitors.commands.latencies(),
        checkouts=monitors.pool.checkouts(),
        slow_commands=monitors.commands.slow_commands(),
    )
