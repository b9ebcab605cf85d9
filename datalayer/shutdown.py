"""Ends a process well: work in hand may finish after SIGTERM or Ctrl-C, and what was logged is
stored before the databases are closed."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, NoReturn, Protocol
from weakref import WeakSet

from datalayer.concurrency.greenlets import gevent_of_threads

__all__ = ["flush", "graceful_shutdown", "late_writers"]

logger = logging.getLogger("datalayer.shutdown")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PATIENCE_SECONDS = 1.0
"""How long an interruption waits for the main thread to be in application code."""
_LAST_SECONDS = 5.0
"""How long the process may take to end after the interruption."""
_WITH_LOCKS = frozenset(
    {"concurrent", "datalayer", "logging", "mongoengine", "pymongo", "queue", "threading"}
)


class LateWriter(Protocol):
    """Something that writes later than it is told to."""

    def flush(self) -> object:
        """Write it now, within seconds of its own choice."""


late_writers: WeakSet[LateWriter] = WeakSet()
"""What ``flush`` has write, besides log handlers: the recorder adds itself."""


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
    ``KeyboardInterrupt``) is raised in the main thread: as soon as it is back in the
    application's code, between two operations, or after a second wherever it is. The exit code
    is 128 and the signal's number, as in a shell. A process that still has not ended 5 seconds
    later stores its log and ends there, without running what is left of its code.

    With ``grace_seconds=0`` the first signal interrupts, for scripts without a loop to ask in.

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
        for number, handler in before.items():
            signal.signal(number, request.handler_for(handler))
        watcher.start()
        yield request.stopping
    finally:
        request.end()
        if watcher.ident is not None:
            watcher.join(_LAST_SECONDS)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Request:
    """The wish to stop, between the signals' handler and the thread that sees to it.

    A handler runs between any two instructions of the main thread, which may be about to take
    or to give back a lock of the event, the connection pool or the log. So the handler takes
    none: it notes the signal, and the thread does the rest. And it raises only where no such
    lock can be held: closing would wait for it for ever.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.stopping = threading.Event()
        self._grace = grace_seconds
        self._owner = os.getpid()
        self._main = threading.get_ident()
        self._gevent = gevent_of_threads()
        self._greenlet = self._gevent and self._gevent.getcurrent()
        self._noted: SimpleQueue[int | None] = SimpleQueue()  # whose put() may be interrupted
        self._interrupting = False
        self._anywhere = False
        self._raised = False
        self._ended = False

    def handler_for(self, before: Any) -> Callable[[int, FrameType | None], None]:
        """What to call at a signal whose handler was ``before``."""

        def handle(number: int, frame: FrameType | None) -> None:
            if os.getpid() != self._owner:
                signal.signal(number, before)
                signal.raise_signal(number)
            elif self._ended or self._raised:
                return
            elif not self._interrupting:
                self._noted.put(number)
            else:
                self._raise_soon(number, None if self._anywhere else _application(frame))

        return handle

    def watch(self) -> None:
        """Wait for a signal, set the event, and interrupt the main thread when time is up."""
        number = self._noted.get()
        if number is None:
            return
        self.stopping.set()
        name = signal.Signals(number).name
        facts = {"event": "stopping", "signal": name}
        logger.info("%s: stopping", name, extra=facts)
        if self._ends_within(self._grace):
            return
        if self._grace > 0:
            logger.warning("%s: interrupting what goes on", name, extra=facts)
        if not self._interrupt(number):
            logger.critical("%s: the process does not end, ending it", name, extra=facts)
            _end_process(128 + number)

    def end(self) -> None:
        """Raise nothing any more, and let the thread end."""
        self._ended = True
        self._noted.put(None)
        if sys.gettrace() is _trace_nothing:
            sys.settrace(None)

    def _ends_within(self, seconds: float) -> bool:
        """Whether the block ends; a further signal ends the waiting too."""
        try:
            return self._noted.get(timeout=seconds) is None
        except Empty:
            return False

    def _interrupt(self, number: int) -> bool:
        """Raise in the main thread; says whether the block ended then."""
        self._interrupting = True
        if self._gevent is not None:
            # A greenlet is interrupted where it waits, and a handler may run in any of them.
            self._raised = True
            self._gevent.kill(self._greenlet, _ending(number))
            return self._ends_within(_LAST_SECONDS)
        _signal_thread(self._main, number)
        if self._ends_within(_PATIENCE_SECONDS):
            return True
        self._anywhere = True
        _signal_thread(self._main, number)
        return self._ends_within(_LAST_SECONDS)

    def _raise_soon(self, number: int, application: FrameType | None) -> None:
        if application is None:
            self._raise(number)

        def trace(*_: object) -> None:
            if not (self._raised or self._ended):
                self._raise(number)

        # As debuggers do: Python calls it at the next line that this frame executes.
        application.f_trace = trace
        sys.settrace(_trace_nothing)

    def _raise(self, number: int) -> NoReturn:
        self._raised = True
        raise _ending(number)


def _ending(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


def _trace_nothing(*_: object) -> None:
    """Python looks at a frame's own trace function only while there is a general one."""


def _application(frame: FrameType | None) -> FrameType | None:
    """The caller of the code that may hold locks; ``None`` where there is no such code."""
    found = None
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _WITH_LOCKS:
            found = frame.f_back
        frame = frame.f_back
    return found


def _end_process(code: int) -> None:
    # Nothing is waited for without limit here: what hangs may hold the locks that this needs.
    last = threading.Thread(target=flush, daemon=True)
    last.start()
    last.join(_LAST_SECONDS)
    os._exit(code)


def _signal_thread(thread: int, number: int) -> None:
    """Have the main thread handle a signal, out of what it waits in where that can be done."""
    if sys.platform == "win32":
        _thread.interrupt_main(signal.Signals(number))
    else:
        signal.pthread_kill(thread, number)


def flush() -> None:
    """Store what still waits to be stored, while there are connections to store it with.

    That is what handlers of stdlib logging hold, such as ``MongoLogHandler``, and what the
    recorder holds. Whatever else in this package writes later than it is told to is to be added
    to ``late_writers``. A failure is logged.
    """
    named = logging.getLogger().manager.loggerDict.values()
    loggers = [logging.getLogger(), *(each for each in named if isinstance(each, logging.Logger))]
    for handler in dict.fromkeys(handler for each in loggers for handler in each.handlers):
        try:
            handler.flush()
        except (OSError, ValueError):
            pass  # its stream is closed: there is nothing to flush, as logging.shutdown has it
        except Exception:
            logger.exception("a log handler could not be flushed", extra={"event": "flush_failed"})
    for writer in list(late_writers):
        try:
            writer.flush()
        except Exception:
            logger.exception(
                "what was recorded could not be flushed", extra={"event": "flush_failed"}
            )
