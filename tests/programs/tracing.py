"""Spans of ``opentelemetry-instrumentation-pymongo`` and datalayer's metrics, in one process."""

from __future__ import annotations

import json
import sys

from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from datalayer import db
from datalayer.contrib import opentelemetry

PINGS = 20

spans = InMemorySpanExporter()
tracing = TracerProvider()
tracing.add_span_processor(SimpleSpanProcessor(spans))
reader = InMemoryMetricReader()
measuring = MeterProvider([reader])

if sys.argv[1] == "metrics first":
    opentelemetry.instrument(measuring)
PymongoInstrumentor().instrument(tracer_provider=tracing)
opentelemetry.instrument(measuring)

with db.connected():
    before = db.database.status()["commands"]["total"]
    for _ in range(PINGS):
        db.database.client.admin.command("buildInfo")
    counted = db.database.status()["commands"]["total"] - before - 1  # less the status's ping
    data = reader.get_metrics_data()

measured = 0
for resource in data.resource_metrics if data else ():
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            for point in metric.data.data_points:
                attributes = point.attributes or {}
                if (
                    isinstance(point, HistogramDataPoint)
                    and metric.name == "db.client.operation.duration"
                    and attributes["db.operation.name"] == "buildInfo"
                ):
                    measured += point.count
names = [span.name for span in spans.get_finished_spans()]
measuring.shutdown()
tracing.shutdown()
print(
    json.dumps({"spans": names.count("admin.buildInfo"), "measured": measured, "counted": counted})
)
