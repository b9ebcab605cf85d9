"""Switches spans on and off, those of commands and those of datalayer's own work together."""

from __future__ import annotations

from functools import partial

from opentelemetry import trace
from opentelemetry.trace import TracerProvider

import datalayer
from datalayer.connections.registry import registry
from datalayer.contrib.opentelemetry.attributes import SCHEMA
from datalayer.contrib.opentelemetry.command_spans import CommandSpans
from datalayer.contrib.opentelemetry.work_spans import WorkSpans
from datalayer.monitoring import tracing


def instrument_traces(
    tracer_provider: TracerProvider | None = None, *, require_parent: bool = False
) -> None:
    """Make spans of what the databases are asked, those connected now and later. Idempotent.

    A span is one command, from when the application asked for it: waiting for a server or for a
    connection, and attempts that failed and were tried again, are its events. Transactions,
    batches of transfers, of the recorder and of the outbox, and migrations have spans of their
    own. No span holds a document's or a query's contents.

    Without ``tracer_provider``, the global one is used, also one that is set later.
    ``require_parent=True`` leaves out commands that nobody's span is around, such as those of
    background threads between two batches.

    Where opentelemetry-instrumentation-pymongo listens to a client, its spans are left to it.
    Log lines have ``trace_id`` and ``span_id`` from then on: see ``configure_logging``.
    """
    if registry.tracers is None:
        tracer = trace.get_tracer(
            "datalayer", datalayer.__version__, tracer_provider, schema_url=SCHEMA
        )
        tracing.activate(WorkSpans(tracer))
        registry.trace(partial(CommandSpans, tracer, require_parent=require_parent))


def uninstrument_traces() -> None:
    """Make spans no longer. Idempotent."""
    registry.trace(None)
    tracing.activate(None)
