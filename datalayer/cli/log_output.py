"""What becomes of the log while a command runs: nobody who uses it has configured logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from datalayer.cli.output import Output
from datalayer.settings import redact

_OURS = "datalayer"


@contextmanager
def quiet_log(output: Output) -> Iterator[None]:
    """Keep Python from printing warnings, as it does for loggers without a handler.

    A command tells itself what went wrong, in one line, and the driver's warnings hold
    tracebacks. A person who waits is told what for.
    """
    quiet: list[tuple[str, logging.Handler]] = [("pymongo", logging.NullHandler())]
    if nobody_listens():
        told = _Told(output) if output.stderr.isatty() else logging.NullHandler()
        quiet.append(("datalayer.service.connecting", told))
        quiet.append((_OURS, logging.NullHandler()))
    for name, handler in quiet:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name, handler in quiet:
            logging.getLogger(name).removeHandler(handler)


@contextmanager
def told_what_is_logged(output: Output, name: str) -> Iterator[None]:
    """Tell the warnings of the logger ``name`` on standard error, if nobody else listens."""
    if not nobody_listens():
        yield
        return
    told = _Told(output)
    logging.getLogger(name).addHandler(told)
    try:
        yield
    finally:
        logging.getLogger(name).removeHandler(told)


def nobody_listens() -> bool:
    """Whether log records of datalayer go nowhere."""
    handlers = [*logging.getLogger(_OURS).handlers, *logging.getLogger().handlers]
    return all(isinstance(handler, logging.NullHandler) for handler in handlers)


class _Told(logging.Handler):
    """Says on standard error what the log would say."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.WARNING)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, without tracebacks."""
        self._output.message(redact(record.getMessage()))
