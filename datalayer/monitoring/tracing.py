"""Is this process traced, and how does work of datalayer's own show in the trace?

``datalayer.contrib.opentelemetry`` puts a tracer here. Without one, nothing is imported, and what
these functions cost is one look at a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Attributes: TypeAlias = Mapping[str, Any]
"""Names and figures; nothing of documents' contents."""


class Tracer(Protocol):
    """Makes the spans of datalayer's own work. Must not raise."""

    def span(
        self, name: str, attributes: Attributes, links: Iterable[str]
    ) -> AbstractContextManager[object]:
        """A span around a block, which is current inside."""

    def event(self, name: str, attributes: Attributes) -> None:
        """Something that happened in the current span."""

    def current(self) -> str | None:
        """The current span, in the form of W3C's header ``traceparent``; ``None`` for none."""

    def log_fields(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id`` of the current span; nothing where there is none."""

    def carried(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """``function``, which another thread is to run in the present span."""


_NOTHING: AbstractContextManager[object] = nullcontext()
_tracer: Tracer | None = None


def activate(tracer: Tracer | None) -> None:
    """Have ``tracer`` make the spans from now on; ``None`` for nobody."""
    global _tracer  # noqa: PLW0603 - one for the process, as in OpenTelemetry itself
    _tracer = tracer


def active() -> Tracer | None:
    """Who makes the spans."""
    return _tracer


def span(
    name: str, attributes: Attributes | None = None, links: Iterable[str] = ()
) -> AbstractContextManager[object]:
    """A span around a block of datalayer's own work.

    ``links`` are the spans that caused it elsewhere, as ``current`` gave them there.
    """
    return _NOTHING if _tracer is None else _tracer.span(name, attributes or {}, links)


def event(name: str, attributes: Attributes) -> None:
    """Note in the current span that something happened."""
    if _tracer is not None:
        _tracer.event(name, attributes)


def current() -> str | None:
    """The current span as text, for a later ``span`` to be linked to; ``None`` for none."""
    return None if _tracer is None else _tracer.current()


def log_fields() -> Mapping[str, Any]:
    """``trace_id`` and ``span_id`` for a log line of now; nothing outside of a span."""
    return {} if _tracer is None else _tracer.log_fields()


def carried(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """``function`` for another thread, which is to run it in the present span."""
    return function if _tracer is None else _tracer.carried(function)
