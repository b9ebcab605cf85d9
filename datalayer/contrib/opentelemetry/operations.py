"""An operation of the driver, from its begin to its end: what it waited for, and which of its
attempts failed, until a command is answered and the span of that ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from time import perf_counter_ns, time_ns
from typing import Any, Protocol

from opentelemetry.trace import Span, SpanContext, Status, StatusCode

from datalayer.contrib.opentelemetry.attributes import Attributes, failed
from datalayer.monitoring.failures import kind_of
from datalayer.monitoring.hooks import tell_of_uncounted
from datalayer.monitoring.observer import Command

_WORTH_TELLING_SECONDS = 0.001
"""Waiting for less is what each operation does."""
_WAITED = "datalayer.wait_seconds"


class Spans(Protocol):
    """Who starts an operation's spans."""

    thread: Thread

    def start(
        self, operation: Operation, name: str, command: Command | None, count: int | None
    ) -> Span:
        """The span of a command, that begins when the operation did."""

    def is_left_out(self) -> bool:
        """Whether no span is to be made now."""


class Thread(threading.local):
    """What the present thread is at."""

    operation: Operation | None = None
    last: SpanContext | None = None
    is_busy = False


class Operation:
    """An operation of the driver: it sends a command, and again where that may help; or several,
    one after the other."""

    __slots__ = (
        "_clock",
        "_events",
        "_outer",
        "_span",
        "_spans",
        "_wall",
        "address",
        "began",
        "failed_at",
        "failure",
        "is_answered",
        "name",
        "waits_since",
    )

    def __init__(self, spans: Spans, name: str) -> None:
        self._spans = spans
        self.name = name
        self._wall, self._clock = time_ns(), perf_counter_ns()
        self.began = self.waits_since = self._wall
        self._span: Span | None = None
        self._events: list[tuple[str, Attributes, int]] = []
        self._outer: Operation | None = None
        self.address: object = None
        self.failure: Mapping[str, Any] | None = None
        self.failed_at = 0
        self.is_answered = False

    @classmethod
    def that_took(cls, spans: Spans, name: str, microseconds: int) -> Operation:
        """One that nobody has surrounded."""
        made = cls(spans, name)
        made.began -= microseconds * 1000
        return made

    def now(self) -> int:
        """The nanoseconds since 1970, of a clock that doesn't jump meanwhile."""
        return self._wall + perf_counter_ns() - self._clock

    def note(self, event: str, attributes: Mapping[str, Any], at: int) -> None:
        """Have an event in the span, which may not have begun."""
        self._events.append((event, dict(attributes), at))

    def connected(self, seconds: float, address: object) -> None:
        """It got a connection: at once, or it has waited for a server or for that."""
        self.address = address
        now = self.now()
        selecting = (now - self.waits_since) / 1_000_000_000 - seconds
        if selecting >= _WORTH_TELLING_SECONDS:
            at = now - int(seconds * 1_000_000_000)
            self.note("datalayer.server_selected", {_WAITED: selecting}, at)
        if seconds >= _WORTH_TELLING_SECONDS:
            self.note("datalayer.connection_acquired", {_WAITED: seconds}, now)

    def begun(self, name: str, command: Command | None, count: int | None) -> Span:
        """The span of a command that has ended. Where an attempt has failed before, its span goes
        on."""
        if self._span is None:
            self._span = self._spans.start(self, name, command, count)
        elif self.failure is not None:
            self.note("datalayer.retry", _told(self.failure), self.failed_at)
            self._span.set_attributes(peer_of(self.address))
            self.failure = None
        return self._span

    def end(self) -> None:
        """End the span, if it has begun, and be ready for another command's."""
        span, self._span = self._span, None
        if span is None:
            return
        for name, attributes, at in self._events:
            span.add_event(name, attributes, at)
        self._events = []
        if self.failure is not None:
            fail(span, self.failure)
        ended = self.now()
        span.end(ended)
        self.failure, self.is_answered = None, True
        self.began = self.waits_since = ended

    def __enter__(self) -> None:
        self._outer = self._spans.thread.operation
        self._spans.thread.operation = self

    def __exit__(self, kind: type[BaseException] | None, exc: object, at: object) -> None:
        self._spans.thread.operation = self._outer
        try:
            if self._span is not None:
                self.end()
            elif kind is not None and not self.is_answered and not self._spans.is_left_out():
                # Nothing could be sent: there was no server, or no connection.
                fail(self.begun(self.name, None, None), {"errtype": kind.__name__})
                self.end()
        except Exception as error:  # noqa: BLE001 - the operation must not fail by its span
            tell_of_uncounted(error)


def _told(failure: Mapping[str, Any]) -> Attributes:
    return failed(str(failure.get("code", failure.get("errtype", "_OTHER"))))


def fail(span: Span, failure: Mapping[str, Any]) -> None:
    """Tell the error's code and name; its message may hold values of documents."""
    span.set_attributes(_told(failure))
    span.set_status(Status(StatusCode.ERROR, kind_of(failure)))


def peer_of(address: object) -> Attributes:
    """The server that was asked, as the conventions' ``network.peer`` has it."""
    if not isinstance(address, tuple) or len(address) != 2:
        return {}
    host, port = address
    peer: Attributes = {"network.peer.address": str(host)}
    return peer if port is None else {**peer, "network.peer.port": port}
