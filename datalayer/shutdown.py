"""Ends a process well: work in hand may finish after SIGTERM or Ctrl-C, and what was logged is
stored before the databases are closed."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any, NoReturn

__all__ = ["flush", "graceful_shutdown"]

logger = logging.getLogger("datalayer.shutdown")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def graceful_shutdown(
    grace_seconds: float = 10.0, *, signals: Iterable[signal.Signals] = _SIGNALS
) -> Iterator[threading.Event]:
    """Let SIGTERM and Ctrl-C end a script or a worker between two pieces of work.

        with db.graceful_shutdown() as stopping, db.connected():
            while not stopping.is_set():
                work()

    The first signal sets the event, and what is under way goes on. When the block has not ended
    after ``grace_seconds``, or when a second signal comes, ``SystemExit`` (after Ctrl-C
    ``KeyboardInterrupt``) is raised in the main thread, wherever it is then; the exit code is
    128 and the signal's number, as in a shell. With ``grace_seconds=0`` the first signal raises:
    for scripts that have no loop to ask in.

    Wait with ``stopping.wait(seconds)`` rather than ``time.sleep``. Connect inside the block, as
    above, so that closing has its share of the time. A forked child has the handlers that were
    there before the block. Application servers and Celery have such handlers of their own.

    Raises:
        ValueError: outside the main thread, which is the only one that Python lets do this.
    """
    request = _Request(grace_seconds)
    before = {number: signal.getsignal(number) for number in signals}
    watcher = threading.Thread(target=request.watch, name="datalayer-shutdown", daemon=True)
    try:
        for number in before:
            signal.signal(number, request.handler_for(before[number]))
        watcher.start()
        yield request.stopping
    finally:
        request.end()
        if watcher.ident is not None:
            watcher.join()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Request:
    """The wish to stop, between the signal's handler and the thread that makes it known.

    A handler runs between any two instructions of the main thread, which may hold a lock of the
    event's, the pool's or the log's at that moment. So it takes none: it notes the signal, and
    a thread does the rest.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.stopping = threading.Event()
        self._grace = grace_seconds
        self._owner = os.getpid()
        self._main = threading.get_ident()
        self._noted: SimpleQueue[int | None] = SimpleQueue()  # whose put() may be interrupted
        self._asked = False
        self._ended = False

    def handler_for(self, before: Any) -> Any:
        """What to call at a signal whose handler was ``before``."""

        def handle(number: int, _frame: object) -> None:
            if os.getpid() != self._owner:
                signal.signal(number, before)
                signal.raise_signal(number)
            elif not self._ended:
                is_first, self._asked = not self._asked, True
                if is_first:
                    self._noted.put(number)
                if not is_first or self._grace <= 0:
                    _raise_for(number)

        return handle

    def watch(self) -> None:
        """Set the event when a signal was noted; raise in the main thread when time is up."""
        number = self._noted.get()
        if number is None:
            return
        self.stopping.set()
        name = signal.Signals(number).name
        logger.info("%s: stopping", name, extra={"event": "stopping", "signal": name})
        if self._grace <= 0:
            return  # the handler has raised already
        try:
            self._noted.get(timeout=self._grace)
        except Empty:
            logger.warning(
                "%s: not stopped after %g s, interrupting the main thread",
                name,
                self._grace,
                extra={"event": "interrupted", "signal": name},
            )
            signal.pthread_kill(self._main, number)

    def end(self) -> None:
        """Raise nothing any more, and let the thread end."""
        self._ended = True
        self._noted.put(None)


def _raise_for(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def flush() -> None:
    """Store what still waits to be stored, while there are connections to store it with.

    That is what handlers of stdlib logging hold, such as ``MongoLogHandler``. What other parts
    of the package write later on is to be flushed here too. A failure is logged.
    """
    named = logging.getLogger().manager.loggerDict.values()
    loggers = [logging.getLogger(), *(each for each in named if isinstance(each, logging.Logger))]
    for handler in dict.fromkeys(handler for each in loggers for handler in each.handlers):
        try:
            handler.flush()
        except Exception:
            logger.exception("a log handler could not be flushed", extra={"event": "flush_failed"})
