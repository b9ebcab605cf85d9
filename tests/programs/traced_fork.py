"""Spans of a worker that was forked after the SDK and the databases were set up, as a server that
loads the application first does it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from datalayer import db
from datalayer.contrib import opentelemetry

folder = Path(sys.argv[1])


class Written(SpanExporter):
    """Keeps the names of a process's spans in a file."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with (folder / str(os.getpid())).open("a") as file:
            file.writelines(f"{span.name}\n" for span in spans)
        return SpanExportResult.SUCCESS


def ask() -> None:
    db.database.client[db.database.name].things.find_one()


opentelemetry.instrument_traces()  # before there is a provider: the global one is taken then
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Written()))
trace.set_tracer_provider(provider)
db.connect_all()
ask()
child = os.fork()
if child == 0:
    ask()
    ask()
    provider.force_flush()
    os._exit(0)
os.waitpid(child, 0)
provider.shutdown()
db.disconnect_all()


def finds(process: int) -> int:
    return (folder / str(process)).read_text().splitlines().count("find things")


print(json.dumps({"parent": finds(os.getpid()), "child": finds(child)}))
