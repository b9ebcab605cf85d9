"""Log lines that tell the span in which they were written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from spans import Exported, things

from datalayer import Settings
from datalayer.contrib import opentelemetry
from datalayer.embedded import EmbeddedMongo
from datalayer.logs import configure_logging
from datalayer.models import LogEntry, MongoLogHandler


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines."""
    logger, stream = logging.getLogger("datalayer"), io.StringIO()
    before = list(logger.handlers), logger.level, logger.propagate
    configure_logging(json=True, stream=stream)
    yield stream
    logger.handlers, level, logger.propagate = before
    logger.setLevel(level)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_json_line_tells_the_present_trace_and_span(traced: Exported, log: io.StringIO) -> None:
    with traced.tracer.start_as_current_span("request") as request:
        logging.getLogger("datalayer.shop").warning("here")
    context = request.get_span_context()
    (line,) = lines(log)
    assert line["trace_id"] == f"{context.trace_id:032x}"
    assert line["span_id"] == f"{context.span_id:016x}"


def test_outside_of_a_span_a_line_tells_none(traced: Exported, log: io.StringIO) -> None:
    logging.getLogger("datalayer.shop").warning("here")
    (line,) = lines(log)
    assert not {"trace_id", "span_id"} & set(line)


def test_where_nobody_traces_a_line_tells_none(
    databases: Settings, exported: Exported, log: io.StringIO
) -> None:
    with exported.tracer.start_as_current_span("request"):
        logging.getLogger("datalayer.shop").warning("here")
    (line,) = lines(log)
    assert not {"trace_id", "span_id"} & set(line)


def test_a_slow_command_tells_its_own_span(
    mongod: EmbeddedMongo, exported: Exported, log: io.StringIO
) -> None:
    opentelemetry.instrument_traces(exported.provider)
    with model_registry(), connected(settings_for(mongod, slow_ms=0)):
        exported.clear()
        with exported.tracer.start_as_current_span("request"):
            things().find_one()
        span = exported.one("find").get_span_context()
    (line,) = [each for each in lines(log) if each.get("command") == "find"]
    assert line["span_id"] == f"{span.span_id:016x}"
    assert line["message"].endswith(f" documents, trace {span.trace_id:032x}")


def test_a_slow_command_without_a_trace_tells_none(
    mongod: EmbeddedMongo, log: io.StringIO
) -> None:
    with model_registry(), connected(settings_for(mongod, slow_ms=0)):
        things().find_one()
    (line,) = [each for each in lines(log) if each.get("command") == "find"]
    assert line["message"].endswith(" documents")
    assert "span_id" not in line


def test_an_entry_in_the_database_tells_both(mongod: EmbeddedMongo, exported: Exported) -> None:
    opentelemetry.instrument_traces(exported.provider)
    handler, logger = MongoLogHandler(), logging.getLogger("shop")
    with model_registry(LogEntry), connected(settings_for(mongod)):
        logger.addHandler(handler)
        try:
            with exported.tracer.start_as_current_span("request") as request:
                logger.warning("here")
            assert handler.flush(30)
        finally:
            logger.removeHandler(handler)
            handler.close()
        context = LogEntry.objects.get().context
    assert context["trace_id"] == f"{request.get_span_context().trace_id:032x}"
    assert context["span_id"] == f"{request.get_span_context().span_id:016x}"
