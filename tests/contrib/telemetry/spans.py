"""What the SDK's exporter in memory has got of datalayer's spans."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from datalayer import db


class Exported:
    """A provider whose spans are kept."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("application")

    def clear(self) -> None:
        self._exporter.clear()

    def spans(self, start: str = "") -> list[ReadableSpan]:
        """Those that have ended, in the order of their ends, whose names begin with ``start``."""
        found = self._exporter.get_finished_spans()
        return [span for span in found if span.name.startswith(start)]

    def one(self, start: str) -> ReadableSpan:
        (span,) = self.spans(start)
        return span

    def names(self) -> list[str]:
        return [span.name for span in self.spans()]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def events(span: ReadableSpan) -> dict[str, dict[str, Any]]:
    """The events' attributes, by name."""
    return {event.name: dict(event.attributes or {}) for event in span.events}


def id_of(span: Any) -> tuple[int, int]:
    """What tells a span from all others."""
    context = span.get_span_context()
    return context.trace_id, context.span_id


def seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return (span.end_time - span.start_time) / 1_000_000_000


def things() -> Any:
    """A collection of the driver's."""
    return db.database.client[db.database.name].things


def fail_next(command: str, code: int, times: int = 1, **options: Any) -> None:
    """Have the server refuse the next commands of this name."""
    data = {"failCommands": [command], "errorCode": code, **options}
    db.database.client.admin.command(
        "configureFailPoint", "failCommand", mode={"times": times}, data=data
    )
