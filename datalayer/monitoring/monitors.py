"""The listeners of one alias, made once and handed to each client that it opens."""

from __future__ import annotations

from typing import Any

from datalayer.monitoring.commands import CommandMonitor
from datalayer.monitoring.emit import Emit
from datalayer.monitoring.pool import PoolMonitor
from datalayer.monitoring.topology import TopologyMonitor

__all__ = ["Monitors"]


class Monitors:
    """Pool, command and topology listeners of one connection, with their figures."""

    def __init__(self, alias: str, slow_ms: int, emit: Emit) -> None:
        self.pool = PoolMonitor(emit)
        self.commands = CommandMonitor(alias, slow_ms, emit)
        self.topology = TopologyMonitor(emit)

    def listeners(self) -> list[Any]:
        """What goes into ``MongoClient(event_listeners=…)``."""
        return [self.pool, self.commands, self.topology]

    def reset(self) -> None:
        """Start from zero in a forked child."""
        self.pool.reset()
        self.commands.reset()
        self.topology.reset()
