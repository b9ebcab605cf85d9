"""OpenTelemetry, through its API: metrics and spans of its semantic conventions for databases.

    from datalayer.contrib import opentelemetry

    opentelemetry.instrument()  # metrics
    opentelemetry.instrument_traces()  # spans

``metrics`` measures. ``traces`` switches spans on: ``command_spans`` makes one of each command,
with what ``operations`` waited for and the attempts they took, ``work_spans`` one of datalayer's
own work. ``attributes`` says what of a database they all tell.
"""

from __future__ import annotations

try:
    from opentelemetry.metrics import MeterProvider as _MeterProvider  # noqa: F401 - is it there?
except ImportError as exc:
    raise ImportError(
        "datalayer.contrib.opentelemetry needs opentelemetry-api: "
        'pip install "mongoengine-datalayer[opentelemetry]"'
    ) from exc

from datalayer.contrib.opentelemetry.metrics import instrument, uninstrument
from datalayer.contrib.opentelemetry.traces import instrument_traces, uninstrument_traces

__all__ = ["instrument", "instrument_traces", "uninstrument", "uninstrument_traces"]
