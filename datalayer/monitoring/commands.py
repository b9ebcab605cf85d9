"""Counts the commands of one alias, times them, and names the slow ones."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from datalayer.monitoring.emit import Emit
from datalayer.monitoring.histogram import Histogram

__all__ = ["CommandMonitor"]

logger = logging.getLogger("datalayer.commands")

_SENT_DOCUMENTS = {"insert": "documents", "update": "updates", "delete": "deletes"}


class CommandMonitor(CommandListener):
    """Counters and latencies, and a log line for each command slower than ``slow_ms``.

    The line holds the alias, the collection, the command's name, the time and the number of
    documents, and never anything of their contents.
    """

    def __init__(self, alias: str, slow_ms: int, emit: Emit) -> None:
        self._alias = alias
        self._slow_seconds = slow_ms / 1000
        self._emit = emit
        self.reset()

    def reset(self) -> None:
        """Forget everything: the process was forked."""
        # Guards the counters. Re-entrant: see PoolMonitor.
        self._lock = threading.RLock()
        self._total = self._failed = self._slow = 0
        self._latencies = Histogram()
        # The command under way for each request: only looked into when it turns out slow.
        self._under_way: dict[int, Mapping[str, Any]] = {}

    def snapshot(self) -> dict[str, Any]:
        """The figures for ``status()``; durations in milliseconds."""
        with self._lock:
            p50, p95, p99 = self._latencies.percentiles_ms(0.5, 0.95, 0.99)
            return {
                "total": self._total,
                "failed": self._failed,
                "slow": self._slow,
                "p50_ms": p50,
                "p95_ms": p95,
                "p99_ms": p99,
            }

    def started(self, event: CommandStartedEvent) -> None:
        """A command is about to be sent."""
        self._under_way[event.request_id] = event.command

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """A command was answered."""
        command = self._under_way.pop(event.request_id, None)
        seconds = event.duration_micros / 1_000_000
        slow = seconds >= self._slow_seconds
        with self._lock:
            self._total += 1
            self._slow += slow
            self._latencies.record(seconds)
        if slow:
            self._report_slow(event.command_name, command, event.reply, seconds)

    def failed(self, event: CommandFailedEvent) -> None:
        """A command got an error for an answer, or none."""
        command = self._under_way.pop(event.request_id, None)
        seconds = event.duration_micros / 1_000_000
        slow = seconds >= self._slow_seconds
        with self._lock:
            self._total += 1
            self._failed += 1
            self._slow += slow
            self._latencies.record(seconds)
        if slow:
            self._report_slow(event.command_name, command, None, seconds)

    def _report_slow(
        self, name: str, command: Mapping[str, Any] | None, reply: Any, seconds: float
    ) -> None:
        facts = {
            "alias": self._alias,
            "collection": _collection_of(name, command),
            "command": name,
            "ms": round(seconds * 1000, 1),
            "documents": _documents_in(name, command, reply),
        }
        logger.warning(
            "slow command on %(alias)s: %(command)s %(collection)s took %(ms)s ms, "
            "%(documents)s documents",
            facts,
            extra={"event": "slow_command", **facts},
        )
        self._emit("slow_command", facts)


def _collection_of(name: str, command: Mapping[str, Any] | None) -> str | None:
    """The collection a command names: its first value, or a cursor command's own field."""
    if not command:
        return None
    value = command.get("collection") if name == "getMore" else command.get(name)
    return value if isinstance(value, str) else None


def _documents_in(name: str, command: Mapping[str, Any] | None, reply: Any) -> int | None:
    """How many documents a command sent or its reply brought; ``None`` where neither is known."""
    if name in _SENT_DOCUMENTS and command:
        sent = command.get(_SENT_DOCUMENTS[name])
        return len(sent) if isinstance(sent, (list, tuple)) else None
    if not isinstance(reply, Mapping):
        return None
    cursor = reply.get("cursor")
    if isinstance(cursor, Mapping):
        batch = cursor.get("firstBatch", cursor.get("nextBatch"))
        return len(batch) if isinstance(batch, list) else None
    count = reply.get("n")
    return count if isinstance(count, int) else None
