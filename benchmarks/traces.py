"""What a span costs: ours, and that of opentelemetry-instrumentation-pymongo.

    python -m benchmarks.traces [--seconds 30]

A ``find_one`` by its key is done over the driver alone and over datalayer's client, each without
spans and with them, in turns, block by block, in one process and against one private server. The
spans are recorded by OpenTelemetry's SDK inside one of the application's, and exported nowhere. A
figure is the median of all blocks, and what the spans add to it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from statistics import median
from time import monotonic, perf_counter, process_time
from typing import Any

from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from pymongo import MongoClient

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.contrib import opentelemetry
from datalayer.embedded import EmbeddedMongo

WAYS = ("the driver", "and pymongo's spans", "our client", "and our spans")
_CALLS = 50
_LEAST_ROUNDS = 5

Times = dict[str, list[float]]


def main() -> int:
    """Measure, and show the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.traces", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="about how long (30)")
    seconds = parser.parse_args().seconds
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    around = provider.get_tracer("benchmark").start_as_current_span("all")
    with _finders(provider) as runs, around:
        passed, processor = measure(runs, seconds)
    print(table(passed, processor))
    return 0


@contextmanager
def _finders(provider: TracerProvider) -> Iterator[Mapping[str, Callable[[], object]]]:
    """The same query in each way. Whoever listens to the driver is asked when a client is
    opened: so that of the driver alone is opened before."""
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedMongo(in_memory=True))
        uri = server.uri_for("traces")
        alone: MongoClient[Any] = stack.enter_context(MongoClient(uri))
        uris = {"default": uri, "traced": uri}
        stack.enter_context(db.connected(Settings(databases=uris)))
        opentelemetry.instrument_traces(provider)
        stack.callback(opentelemetry.uninstrument_traces)
        registry.own_connection("default").trace(None)
        PymongoInstrumentor().instrument(tracer_provider=provider)
        stack.callback(PymongoInstrumentor().uninstrument)
        theirs: MongoClient[Any] = stack.enter_context(MongoClient(uri))
        ours = [db.get(alias).client for alias in uris]
        alone.traces.things.insert_one({"_id": 1, "name": "Lamp"})
        yield dict(zip(WAYS, map(_finder, (alone, theirs, *ours)), strict=True))


def _finder(client: MongoClient[Any]) -> Callable[[], object]:
    collection = client.traces.things
    return lambda: collection.find_one({"_id": 1})


def measure(runs: Mapping[str, Callable[[], object]], seconds: float) -> tuple[Times, Times]:
    """The time that a call took, for each block, and the processor's time in this process; all
    take turns, and another begins each time."""
    passed: Times = {way: [] for way in runs}
    processor: Times = {way: [] for way in runs}
    for run in runs.values():  # connections
        run()
    end = monotonic() + seconds
    for number in count():
        if number >= _LEAST_ROUNDS and monotonic() > end:
            break
        first = number % len(WAYS)
        for way in (*WAYS[first:], *WAYS[:first]):
            run = runs[way]
            begun, begun_processor = perf_counter(), process_time()
            for _ in range(_CALLS):
                run()
            processor[way].append((process_time() - begun_processor) / _CALLS)
            passed[way].append((perf_counter() - begun) / _CALLS)
    return passed, processor


def table(passed: Times, processor: Times) -> str:
    """A Markdown table of microseconds, and the ratio of what the two kinds of spans add."""
    lines = ["| microseconds | a `find_one` | processor |", "|---|---:|---:|"]
    medians = [[median(each[way]) * 1e6 for way in WAYS] for each in (passed, processor)]
    lines += [f"| {way} | {a:,.0f} | {b:,.0f} |" for way, a, b in zip(WAYS, *medians, strict=True)]
    added = [(theirs - alone, ours - client) for alone, theirs, client, ours in medians]
    for name, place in (("pymongo's spans add", 0), ("our spans add", 1)):
        lines.append(f"| {name} | {added[0][place]:,.1f} | {added[1][place]:,.1f} |")
    ratios = [ours / theirs if theirs else 0.0 for theirs, ours in added]
    return "\n".join([*lines, f"| ours to theirs | {ratios[0]:.2f} | {ratios[1]:.2f} |"])


if __name__ == "__main__":
    sys.exit(main())
