"""Log output for scripts: plain lines or JSON lines, with the fields that datalayer adds."""

from __future__ import annotations

import json as json_module
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any

from datalayer.failures.redaction import traceback_without_contents
from datalayer.monitoring import tracing
from datalayer.settings import redact
from datalayer.terminal import printable, printable_json, printable_lines

__all__ = ["configure_logging"]

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(
    *, json: bool = False, level: int | str = logging.INFO, stream: IO[str] | None = None
) -> None:
    """Write the log lines of ``datalayer.*`` to ``stream`` (default: standard error).

    For scripts and the command line; an application configures logging itself. ``json=True``
    gives one JSON object a line. Calling it again replaces what it set up before. Credentials
    of MongoDB URIs are taken out of messages and tracebacks, and so is what the driver and
    MongoEngine say about an error, since it may hold values of documents. Where the process is
    traced (``opentelemetry.instrument_traces()``), JSON lines have ``trace_id`` and ``span_id``.

    PyMongo's own loggers are left alone: at DEBUG they write whole commands, with the documents.
    """
    logger = logging.getLogger("datalayer")
    for handler in list(logger.handlers):
        if isinstance(handler, _OwnHandler):
            logger.removeHandler(handler)
    handler = _OwnHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines() if json else _PlainLines())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


class _OwnHandler(logging.StreamHandler[Any]):
    """Marks the handler that ``configure_logging`` may replace."""


class _Discreet(logging.Formatter):
    """Tracebacks without what may hold values of documents."""

    def formatException(self, ei: Any) -> str:
        return traceback_without_contents(ei[1]) if ei[1] else ""

    def format(self, record: logging.LogRecord) -> str:
        """Format with our own traceback: the base class would take another formatter's from the
        record, and leave ours there for others."""
        others, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = others


class _PlainLines(_Discreet):
    """Time, level, logger and message, in one line but for tracebacks; no credentials."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(redact(super().format(record)))

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))


class _JsonLines(_Discreet):
    """One JSON object a line: the record's usual facts and its ``extra`` fields."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **tracing.log_fields(),
        }
        facts.update(
            (name, value) for name, value in vars(record).items() if name not in _STANDARD_FIELDS
        )
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return redact(printable_json(json_module.dumps(facts, default=str)))
