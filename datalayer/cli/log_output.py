"""What becomes of log records while a command runs? Who uses it has not configured logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from datalayer.cli.output import Output
from datalayer.service import connecting_log
from datalayer.settings import redact

_OURS = "datalayer"


@contextmanager
def quiet_log(output: Output) -> Iterator[None]:
    """Keep Python from printing warnings, as it does for loggers without a handler.

    A command tells itself what went wrong, in one line, and the driver's warnings hold
    tracebacks. A person who waits is told what for.
    """
    quiet: dict[str, logging.Handler] = {"pymongo": logging.NullHandler()}
    if _nobody_listens():
        quiet[_OURS] = logging.NullHandler()
        if output.stderr.isatty():
            quiet[connecting_log.logger.name] = _OutputHandler(output)
    with _handling(quiet):
        yield


@contextmanager
def warnings_shown(output: Output, name: str) -> Iterator[None]:
    """Show the warnings of the logger ``name`` on standard error, if nobody else listens."""
    with _handling({name: _OutputHandler(output)} if _nobody_listens() else {}):
        yield


@contextmanager
def _handling(handlers: Mapping[str, logging.Handler]) -> Iterator[None]:
    for name, handler in handlers.items():
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name, handler in handlers.items():
            logging.getLogger(name).removeHandler(handler)


def _nobody_listens() -> bool:
    handlers = [*logging.getLogger(_OURS).handlers, *logging.getLogger().handlers]
    return all(isinstance(handler, logging.NullHandler) for handler in handlers)


class _OutputHandler(logging.Handler):
    """Writes warnings to standard error, as messages."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, without tracebacks."""
        self._output.message(redact(record.getMessage()))
