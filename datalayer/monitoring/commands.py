"""Counts the commands of one alias, times them, and names the slow ones."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple, TypeAlias, cast

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from datalayer.monitoring.command_facts import (
    collection_of,
    command_in,
    documents_in,
    dropped_by,
    waits_for_data,
)
from datalayer.monitoring.durations import Distribution, Durations
from datalayer.monitoring.failures import FailureLog, address_of, kind_of
from datalayer.monitoring.histogram import Bucket, Histogram
from datalayer.monitoring.observer import CommandTracer, Emit, EndedCommand, Observer, Watcher

logger = logging.getLogger("datalayer.commands")
# Unlike datalayer's other warnings these tell of no trouble, and may be many: they are for those
# who have configured logging, and for status().
logger.addHandler(logging.NullHandler())

_BATCH = 256  # durations are counted this many at a time, or when somebody asks
_REMEMBERED = 20  # slow commands, the latest ones
_LOGGING_IN = frozenset({"saslStart", "saslContinue", "authenticate"})
_DROPPING = frozenset({"drop", "dropDatabase", "renameCollection", "convertToCapped"})
"""What takes a collection away with its indexes, or puts another in its place."""
_SPECIAL = _LOGGING_IN | _DROPPING


OnDrop: TypeAlias = Callable[[str | None, str | None], None]
"""Takes the names of the database and the collection; ``None`` stands for all."""


class Traffic(NamedTuple):
    """What one thread has sent so far, and how much of it got no reply.

    Without what a new connection sends to log in: that is no part of the operation.
    """

    sent: int
    unanswered: int


_traffic = tuple.__new__  # past the constructor in Python: each operation asks


@dataclass(frozen=True)
class SlowCommand:
    """A command that took long; nothing of its documents' contents."""

    at: str
    """When it ended, as ISO 8601 in UTC."""
    alias: str
    collection: str | None
    command: str
    ms: float
    documents: int | None
    """How many were sent or came back; ``None`` where that isn't known."""
    database: str | None = None
    """Where it isn't the alias's own."""


class _Thread:
    """What one thread has under way, and what it has sent so far."""

    __slots__ = ("began", "command", "request", "sent", "unanswered")

    def __init__(self) -> None:
        self.command: Mapping[str, Any] | bytes | None = None
        self.request = 0
        self.began = 0.0
        self.sent = 0
        self.unanswered = 0


class _Threads(threading.local):
    """Finds the present thread's: one look-up for a command, where each attribute of a
    ``threading.local`` would take one.

    Made when it is first asked for, rather than in ``__init__``: making it may run the garbage
    collector, and what that closes, a forgotten cursor say, sends a command of this thread.
    """

    present: _Thread

    def __getattr__(self, name: str) -> _Thread:
        if name != "present":
            raise AttributeError(name)
        made = _Thread()
        return cast(_Thread, self.__dict__.setdefault(name, made))


class CommandMonitor(CommandListener):
    """Counters and latencies, and a log line for each command slower than ``slow_ms``.

    The line holds the alias, the collection, the command's name, the time and the number of
    documents, and never anything of their contents.
    """

    def __init__(
        self,
        alias: str,
        slow_ms: int,
        emit: Emit,
        clock: Callable[[], float] = monotonic,
        failures: FailureLog | None = None,
    ) -> None:
        self._clock = clock
        self._failures = failures or FailureLog(alias)
        self._alias = alias
        self._slow_microseconds = slow_ms * 1000
        self._emit = emit
        self._observer: Observer | None = None
        self.tracer: CommandTracer | None = None
        """Makes a span of each command."""
        self._watcher: Watcher | None = None
        self._is_heard = False  # whether there is either: each command asks
        self.own_database: str | None = None
        """The alias's; slow commands tell of another."""
        self.on_drop: OnDrop | None = None
        """Told of each collection or database that is dropped over this client, before and after:
        a write that overlaps with the drop doesn't take the indexes for built."""
        self.reset()

    def reset(self) -> None:
        """Forget everything: the process was forked."""
        # Guards the counters and the histogram. Re-entrant: see PoolMonitor.
        self._lock = threading.RLock()
        self._total = self._failed = self._slow = 0
        self._latencies = Histogram()
        self._durations = Durations()
        self._slow_commands: deque[SlowCommand] = deque(maxlen=_REMEMBERED)
        # Durations in microseconds that are still to be counted: appending needs no lock, and
        # counting many at once costs a fraction of counting each.
        self._uncounted: deque[int] = deque()
        # Each thread's counts, and its command under way: only looked into when it is slow.
        self._threads = _Threads()

    def snapshot(self) -> dict[str, Any]:
        """The figures for ``status()``; durations in milliseconds."""
        with self._lock:
            self._count()
            p50, p95, p99 = self._latencies.percentiles_ms(0.5, 0.95, 0.99)
            return {
                "total": self._total,
                "failed": self._failed,
                "slow": self._slow,
                "p50_ms": p50,
                "p95_ms": p95,
                "p99_ms": p99,
            }

    def latencies(self) -> tuple[Bucket, ...]:
        """How long the commands of the last five to ten minutes took."""
        with self._lock:
            self._count()
            return self._latencies.distribution()

    def slow_commands(self) -> tuple[SlowCommand, ...]:
        """The last 20 slow commands, the latest first."""
        with self._lock:
            return tuple(reversed(self._slow_commands))

    def durations(self) -> Distribution:
        """How long commands took, counted since the start."""
        with self._lock:
            self._count()
            return self._durations.distribution()

    def observe(self, observer: Observer | None) -> None:
        """Tell ``observer`` of each command from now on; ``None`` for nobody."""
        self._observer = observer
        self._is_heard = observer is not None or self._watcher is not None

    def watch(self, watcher: Watcher | None) -> None:
        """Show ``watcher`` each command from now on; ``None`` for nobody."""
        self._watcher = watcher
        self._is_heard = watcher is not None or self._observer is not None

    def traffic(self) -> Traffic:
        """What the present thread has sent so far over this client."""
        thread = self._threads.present
        return _traffic(Traffic, (thread.sent, thread.unanswered))

    def started(self, event: CommandStartedEvent) -> None:
        """A command is about to be sent."""
        self.begin(event.command_name, event.command, event.request_id)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """A command was answered."""
        self.succeed(event.command_name, event.reply, event.request_id)

    def failed(self, event: CommandFailedEvent) -> None:
        """A command got an error for an answer, or none."""
        self.fail(event.command_name, event.failure, event.request_id, event.connection_id)

    def begin(self, name: str, command: Mapping[str, Any] | bytes, request: int) -> None:
        """``started``, without an event; ``command`` may be the message that carries it."""
        thread = self._threads.present
        thread.command = command
        thread.request = request
        if name not in _SPECIAL:
            thread.sent += 1
        elif name in _DROPPING:
            thread.sent += 1
            self._tell_dropped(name, self._command_of(request))
        thread.began = self._clock()

    def succeed(self, name: str, reply: Any, request: int) -> None:
        """``succeeded``, without an event."""
        thread, uncounted = self._threads.present, self._uncounted
        microseconds = int((self._clock() - thread.began) * 1_000_000)  # see _since
        uncounted.append(microseconds)
        if self.tracer is not None and name not in _LOGGING_IN:
            self.tracer.succeeded(name, thread.command, reply, microseconds)
        if microseconds >= self._slow_microseconds:
            command = self._command_of(request)
            if not waits_for_data(name, command):
                self._report_slow(name, command, microseconds, reply)
        if name in _DROPPING:
            self._tell_dropped(name, self._command_of(request))
        if self._is_heard:
            self._tell(name, request, reply, microseconds, None)
        thread.command = None  # a large insert's documents needn't stay in memory
        if len(uncounted) >= _BATCH:
            with self._lock:
                self._count()

    def fail(
        self, name: str, failure: Mapping[str, Any], request: int, address: object = None
    ) -> None:
        """``failed``, without an event."""
        thread = self._threads.present
        microseconds = self._since(thread.began)
        # The driver's own note, rather than a server's reply, holds the error's type.
        if "errtype" in failure and name not in _LOGGING_IN:
            thread.unanswered += 1
        self._uncounted.append(microseconds)
        with self._lock:
            self._failed += 1
            self._count()
        collection = collection_of(name, self._command_of(request))
        operation = f"{name} {collection}" if collection else name
        self._failures.note(kind_of(failure), operation, address_of(address))
        if self.tracer is not None and name not in _LOGGING_IN:
            self.tracer.failed(name, thread.command, failure, microseconds, address)
        if microseconds >= self._slow_microseconds:
            self._report_slow(name, self._command_of(request), microseconds, None)
        if name in _DROPPING:  # it may have been done all the same
            self._tell_dropped(name, self._command_of(request))
        if self._is_heard:
            error = str(failure.get("code", failure.get("errtype", "_OTHER")))
            self._tell(name, request, None, microseconds, error)
        thread.command = None

    def _tell(
        self, name: str, request: int, reply: Any, microseconds: int, error: str | None
    ) -> None:
        observer, watcher, thread = self._observer, self._watcher, self._threads.present
        if observer is not None:
            observer.command(name, microseconds, error)
        if watcher is not None and name not in _LOGGING_IN:
            sent = thread.command if thread.request == request else None
            watcher(EndedCommand(name, sent, reply, microseconds, error))

    def _since(self, began: float) -> int:
        """The microseconds since a command began.

        Not the driver's figure: PyMongo before 4.18 takes it from the wall clock, which may jump.
        """
        return int((self._clock() - began) * 1_000_000)

    def _count(self) -> None:
        uncounted = [self._uncounted.popleft() for _ in range(len(self._uncounted))]
        self._latencies.record_all(uncounted)
        self._durations.record_all(uncounted)
        self._total += len(uncounted)

    def _report_slow(
        self, name: str, command: Mapping[str, Any] | None, microseconds: int, reply: Any
    ) -> None:
        facts: dict[str, Any] = {
            "alias": self._alias,
            "collection": collection_of(name, command),
            "command": name,
            "ms": round(microseconds / 1000, 1),
            "documents": documents_in(name, command, reply),
        }
        database = (command or {}).get("$db")
        if self.own_database is not None and database not in (None, self.own_database):
            facts["database"] = database
        at = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            self._slow += 1
            self._slow_commands.append(SlowCommand(at=at, **facts))
        trace = {} if self.tracer is None else self.tracer.log_fields()
        logger.warning(
            "slow command on %(where)s: %(command)s %(collection)s took %(ms)s ms, "
            "%(documents)s documents%(trace)s",
            {
                **facts,
                "where": " ".join((self._alias, *filter(None, [facts.get("database")]))),
                "trace": f", trace {trace['trace_id']}" if trace else "",
            },
            extra={"event": "slow_command", **facts, **trace},
        )
        self._emit("slow_command", facts)

    def _tell_dropped(self, name: str, command: Mapping[str, Any] | None) -> None:
        if self.on_drop is not None:
            for database, collection in dropped_by(name, command or {}):
                self.on_drop(database, collection)

    def _command_of(self, request: int) -> Mapping[str, Any] | None:
        thread = self._threads.present
        command = thread.command if thread.request == request else None
        return command_in(command) if isinstance(command, bytes) else command
