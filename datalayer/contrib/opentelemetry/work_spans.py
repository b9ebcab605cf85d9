"""Spans of datalayer's own work, such as a transaction with all its attempts, and what log lines
and later work tell of the current span."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)

from datalayer.monitoring.tracing import Attributes

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

logger = logging.getLogger("datalayer.monitoring")

_TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_MOST_LINKS = 100


class WorkSpans:
    """What ``datalayer.monitoring.tracing`` calls."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, links: Iterable[str] = ()
    ) -> Iterator[object]:
        """A span around a block, which is current inside. It tells the class of an error that
        ends the block, and not its message, which may hold values of documents."""
        span: Span = trace.INVALID_SPAN
        with _harmless():
            span = self._tracer.start_span(
                name, kind=SpanKind.INTERNAL, attributes=dict(attributes), links=_links(links)
            )
        token = context.attach(trace.set_span_in_context(span))
        try:
            yield span
        except Exception as exc:
            span.set_attribute("error.type", type(exc).__qualname__)
            span.set_status(Status(StatusCode.ERROR, type(exc).__qualname__))
            raise
        finally:
            context.detach(token)
            with _harmless():
                span.end()

    def event(self, name: str, attributes: Attributes) -> None:
        """Something that happened in the current span."""
        trace.get_current_span().add_event(name, dict(attributes))

    def current(self) -> str | None:
        """The current span, in the form of W3C's header ``traceparent``."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"

    def log_fields(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id`` of the current span."""
        return log_fields_of(trace.get_current_span().get_span_context())

    def carried(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """``function``, which another thread is to run in the present span."""
        present = context.get_current()

        @functools.wraps(function)
        def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            token = context.attach(present)
            try:
                return function(*args, **kwargs)
            finally:
                context.detach(token)

        return run


@contextmanager
def _harmless() -> Iterator[None]:
    """Log what a span processor of the application's raises: the work is not to fail by it."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - whatever it is
        logger.error("a span was not made (%s)", type(exc).__name__)


def log_fields_of(span: SpanContext) -> Mapping[str, str]:
    """What log lines tell of a span, as W3C writes it."""
    if not span.is_valid:
        return {}
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}


def _links(parents: Iterable[str]) -> list[Link]:
    """Links to spans of other threads or processes; what is none is left out."""
    found = []
    for parent in list(dict.fromkeys(parents))[:_MOST_LINKS]:
        match = _TRACEPARENT.fullmatch(parent)
        if match is not None:
            trace_id, span_id, flags = (int(part, 16) for part in match.groups())
            found.append(Link(SpanContext(trace_id, span_id, True, TraceFlags(flags))))
    return found
