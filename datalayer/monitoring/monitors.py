"""The listeners of one alias, made once and handed to each client that it opens."""

from __future__ import annotations

from typing import Any

from datalayer.monitoring.commands import CommandMonitor
from datalayer.monitoring.failures import FailureLog
from datalayer.monitoring.leaks import LeakMonitor
from datalayer.monitoring.observer import CommandTracer, Emit, Observer, Watcher
from datalayer.monitoring.pool import PoolMonitor
from datalayer.monitoring.topology import TopologyMonitor


class Monitors:
    """Pool, command and topology listeners of one connection, with their figures."""

    def __init__(self, alias: str, slow_ms: int, emit: Emit, leak_warning_ms: int = 0) -> None:
        self.failures = FailureLog(alias)
        """What failed lately, whoever of the others noticed it."""
        self.pool = PoolMonitor(emit, self.failures)
        self.commands = CommandMonitor(alias, slow_ms, emit, failures=self.failures)
        self.topology = TopologyMonitor(emit, self.failures)
        self.leaks = LeakMonitor(alias, leak_warning_ms / 1000) if leak_warning_ms else None

    def listeners(self) -> list[Any]:
        """What goes into ``MongoClient(event_listeners=…)``."""
        always = [self.pool, self.commands, self.topology]
        return always if self.leaks is None else [*always, self.leaks]

    def observe(self, observer: Observer | None) -> None:
        """Tell ``observer`` of each command and connection from now on; ``None`` for nobody."""
        self.pool.observe(observer)
        self.commands.observe(observer)

    def trace(self, tracer: CommandTracer | None) -> None:
        """Have ``tracer`` make a span of each command from now on; ``None`` for nobody.

        The client itself is told by ``connections.client.trace_operations``.
        """
        self.pool.tracer = self.commands.tracer = tracer

    def watch(self, watcher: Watcher | None) -> None:
        """Show ``watcher`` each command from now on; ``None`` for nobody."""
        self.commands.watch(watcher)

    def reset(self) -> None:
        """Start from zero in a forked child."""
        self.failures.reset()
        self.pool.reset()
        self.commands.reset()
        self.topology.reset()
        if self.leaks is not None:
            self.leaks.reset()

    def stop(self) -> None:
        """Be silent from now on: the client is about to be closed."""
        self.topology.stop_watching()
        if self.leaks is not None:
            self.leaks.stop()
