"""Counters, gauges and latencies of one alias, fed by the driver's event listeners.

``monitors`` holds those of one alias: ``commands``, ``pool``, ``topology`` and ``leaks`` listen;
``histogram`` and ``durations`` count; ``failures`` remembers what failed; ``observer`` says who is
told; ``hooks`` has the driver call them without an object for each event; ``tracing`` is where
spans of datalayer's own work are made. Commands and check-outs are counted by
``connections.counting``, where nobody else listens to them.

The listeners only count: no I/O, no document contents. They run in the thread that made the
event happen, so what they do is short, and an error in them would reach nobody.
"""

from __future__ import annotations

from datalayer.monitoring.commands import CommandMonitor, SlowCommand
from datalayer.monitoring.failures import Failure, FailureLog
from datalayer.monitoring.histogram import Bucket, Histogram, percentile_ms
from datalayer.monitoring.leaks import LeakMonitor
from datalayer.monitoring.monitors import Monitors
from datalayer.monitoring.observer import Emit
from datalayer.monitoring.pool import PoolMonitor
from datalayer.monitoring.topology import TopologyMonitor

__all__ = [
    "Bucket",
    "CommandMonitor",
    "Emit",
    "Failure",
    "FailureLog",
    "Histogram",
    "LeakMonitor",
    "Monitors",
    "PoolMonitor",
    "SlowCommand",
    "TopologyMonitor",
    "percentile_ms",
]
