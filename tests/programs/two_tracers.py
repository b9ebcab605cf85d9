"""Spans of ``opentelemetry-instrumentation-pymongo`` and of datalayer, in one process."""

from __future__ import annotations

import json

from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from datalayer import db
from datalayer.contrib import opentelemetry

PINGS = 20

spans = InMemorySpanExporter()
tracing = TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(spans))
PymongoInstrumentor().instrument(tracer_provider=tracing)
opentelemetry.instrument_traces(tracing)


def ask() -> dict[str, int]:
    """How many spans each has made of some commands, and of a transaction."""
    spans.clear()
    for _ in range(PINGS):
        db.database.client.admin.command("buildInfo")
    with db.transaction():
        pass
    names = [span.name for span in spans.get_finished_spans()]
    return {
        "pymongos": names.count("admin.buildInfo"),
        "datalayers": names.count("buildInfo admin"),
        "transactions": names.count("transaction"),
    }


with db.connected():
    both = ask()
    PymongoInstrumentor().uninstrument()
    alone = ask()
tracing.shutdown()
print(json.dumps({"both": both, "alone": alone}))
