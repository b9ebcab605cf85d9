"""A span for each command to a server, from when the application asked for it to its answer, by
OpenTelemetry's semantic conventions for MongoDB.

https://opentelemetry.io/docs/specs/semconv/db/database-spans/
https://opentelemetry.io/docs/specs/semconv/db/mongodb/

They want one span for an operation as its caller sees it, "with all retries": so what the driver
waited for, and attempts that failed and were tried again, are events of the span of the command
that was answered. An operation of several commands, a bulk write say, has several spans.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer

from datalayer.contrib.opentelemetry.attributes import Attributes, database
from datalayer.contrib.opentelemetry.operations import Operation, Thread, fail, peer_of
from datalayer.contrib.opentelemetry.work_spans import log_fields_of
from datalayer.monitoring.command_facts import command_in, operations_in, place_in
from datalayer.monitoring.observer import Command
from datalayer.settings import DatabaseSettings

_MOST_PLACES = 1000
_MOST_CURSORS = 1000
_BESIDES = frozenset({"killCursors", "endSessions"})
"""What the driver sends in the middle of something else, for cursors that were forgotten say."""
_SUPPRESSED = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
"""Set where the SDK itself works, whose own traffic is not to be traced."""


class CommandSpans:
    """Makes the spans of one database's commands, in the threads that send them."""

    def __init__(
        self, tracer: Tracer, settings: DatabaseSettings, *, require_parent: bool = False
    ) -> None:
        self._tracer = tracer
        self._require_parent = require_parent
        self._database = settings.database
        self._common = database(settings)
        self.thread = Thread()
        self._others: list[Any] = []
        # By command, database, collection and server: the span's name and attributes.
        self._places: dict[tuple[Any, ...], tuple[str, Attributes]] = {}
        # The spans that have opened the cursors which are open, by the cursor's number.
        self._cursors: OrderedDict[int, SpanContext] = OrderedDict()

    def opened(self, listeners: Sequence[object]) -> None:
        """A client was opened: somebody else may make spans of its commands."""
        self._others = [
            each
            for each in listeners
            if type(each).__module__.startswith("opentelemetry.instrumentation.pymongo")
        ]

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Surrounds an operation of the driver, with its attempts."""
        return Operation(self, name)

    def connected(self, seconds: float, address: object) -> None:
        """The operation got a connection: at once, or it has waited for a server or for that."""
        operation = self.thread.operation
        if operation is not None:
            operation.connected(seconds, address)

    def not_connected(self, reason: str, address: object) -> None:
        """The operation got no connection: to another server, perhaps, it gets one."""
        operation = self.thread.operation
        if operation is not None:
            facts = {"error.type": reason, **peer_of(address)}
            operation.note("datalayer.connection_failed", facts, operation.now())
            operation.is_answered = False

    def succeeded(
        self, name: str, command: Command | None, reply: Mapping[str, Any], microseconds: int
    ) -> None:
        """A command was answered: its span ends."""
        if self.is_left_out():
            return
        thread = self.thread
        thread.is_busy = True
        try:
            within = None if name in _BESIDES else thread.operation
            operation = within or Operation.that_took(self, name, microseconds)
            count = operations_in(name, command, reply)
            span = operation.begun(name, command, count)
            thread.last = span.get_span_context()
            self._note_cursor(name, command, reply, thread.last)
            for key in ("writeErrors", "writeConcernError"):
                if key in reply:
                    errors = reply[key]
                    fail(span, errors[0] if isinstance(errors, list) else errors)
                    break
            operation.end()
        finally:
            thread.is_busy = False

    def failed(
        self,
        name: str,
        command: Command | None,
        failure: Mapping[str, Any],
        microseconds: int,
        address: object,
    ) -> None:
        """A command has failed: its span ends with the operation, if that is not tried again."""
        if self.is_left_out():
            return
        thread = self.thread
        thread.is_busy = True
        try:
            within = None if name in _BESIDES else thread.operation
            operation = within or Operation.that_took(self, name, microseconds)
            operation.address = address
            span = operation.begun(name, command, operations_in(name, command, {}))
            thread.last = span.get_span_context()
            operation.failure = failure
            operation.failed_at = operation.waits_since = operation.now()
            if within is None:
                operation.end()
        finally:
            thread.is_busy = False

    def log_fields(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id`` of the present thread's last command."""
        last = self.thread.last
        if last is None or self.is_left_out():
            last = trace.get_current_span().get_span_context()
        return log_fields_of(last)

    def is_left_out(self) -> bool:
        """Whether no span is to be made now."""
        # A signal's handler may use the database while the thread it interrupted is in here.
        if self.thread.is_busy or context.get_value(_SUPPRESSED):
            return True
        if self._others and any(each.is_enabled for each in self._others):
            return True
        return self._require_parent and not (trace.get_current_span().get_span_context().is_valid)

    def start(
        self, operation: Operation, name: str, command: Command | None, count: int | None
    ) -> Span:
        """The span of a command, that begins when the operation did."""
        place = (name, *place_in(name, command), operation.address)
        known = self._places.get(place)
        if known is None:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            known = self._places[place] = self._attributes(*place)
        summary, attributes = known
        if count is not None and count != 1:  # one is no batch, as the conventions have it
            attributes = {**attributes, "db.operation.batch.size": count}
        return self._tracer.start_span(
            summary,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=self._link_to_cursor(name, command),
            start_time=operation.began,
        )

    # Inside

    def _attributes(
        self, name: str, where: str | None, collection: str | None, address: object
    ) -> tuple[str, Attributes]:
        namespace = where or self._database
        summary = f"{name} {collection or namespace}"
        attributes: Attributes = {
            **self._common,
            "db.namespace": namespace,
            "db.operation.name": name,
            "db.query.summary": summary,
            **peer_of(address),
        }
        if collection is not None:
            attributes["db.collection.name"] = collection
        return summary, attributes

    def _link_to_cursor(self, name: str, command: Command | None) -> list[Link] | None:
        if name != "getMore" or not self._cursors:
            return None
        opened = self._cursors.get(_cursor_in(command))
        return None if opened is None else [Link(opened)]

    def _note_cursor(
        self, name: str, command: Command | None, reply: Mapping[str, Any], span: SpanContext
    ) -> None:
        cursor = reply.get("cursor")
        if not isinstance(cursor, Mapping):
            return
        number = cursor.get("id")
        if name == "getMore":
            if not number:
                self._cursors.pop(_cursor_in(command), None)
        elif number:
            self._cursors[number] = span
            if len(self._cursors) > _MOST_CURSORS:
                self._cursors.popitem(last=False)


def _cursor_in(command: Command | None) -> Any:
    """The number of the cursor that a ``getMore`` reads."""
    if isinstance(command, bytes):
        command = command_in(command)
    return (command or {}).get("getMore")
