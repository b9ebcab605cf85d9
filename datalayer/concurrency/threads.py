"""Three small tools for threads: run functions side by side, let simultaneous callers share one
run, and start threads that leave the signals to others."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from datalayer.concurrency.greenlets import gevent_of_threads
from datalayer.monitoring import tracing

Result = TypeVar("Result")


def side_by_side(
    calls: Mapping[str, Callable[[], Result]], timeout_seconds: float | None = None
) -> dict[str, Result | BaseException]:
    """Run all ``calls`` at once; each key's value is what it returned or raised.

    With ``timeout_seconds``, a call that has not ended by then has a ``TimeoutError`` as its
    value and goes on in a daemon thread, so it must have a deadline of its own. Without one,
    all calls are waited for. The last call runs in the calling thread where no time-out is
    given: one thread less to start; Ctrl-C there is raised at once. Where the process is traced,
    all run in the present span.
    """
    ends = None if timeout_seconds is None else monotonic() + timeout_seconds
    futures: dict[str, Future[Result]] = {name: Future() for name in calls}
    names = list(calls)
    own = names.pop() if names and ends is None else None
    for name in names:
        threading.Thread(
            target=_settle,
            args=(futures[name], tracing.carried(calls[name])),
            name=f"datalayer-{name}",
            daemon=True,
        ).start()
    if own is not None:
        _settle(futures[own], calls[own])
        error = futures[own].exception()
        if error is not None and not isinstance(error, Exception):
            raise error
    outcomes: dict[str, Result | BaseException] = {}
    for name, future in futures.items():
        outcome = _outcome(future, ends)
        outcomes[name] = outcome
    return outcomes


def _settle(future: Future[Result], call: Callable[[], Result]) -> None:
    try:
        future.set_result(call())
    except BaseException as exc:  # noqa: BLE001 - handed on to the thread that waits
        future.set_exception(exc)


def _outcome(future: Future[Result], ends: float | None) -> Result | BaseException:
    try:
        error = future.exception(None if ends is None else max(ends - monotonic(), 0))
    except FutureTimeoutError as exc:
        return exc
    return future.result() if error is None else error


@contextmanager
def signals_held() -> Iterator[None]:
    """Threads that are started within take no signals, nor do the threads that they start.

    A signal for the process goes to any thread that has not blocked it. A handler written in C
    that ends the process there, as uWSGI's does, waits for the very thread that it interrupted.
    Signals that reach the calling thread meanwhile are handled at the end.

    Greenlets in the place of threads share the mask of the one thread there is, and another of
    them may hold and release the signals while one waits within: nothing is held for them.
    """
    if sys.platform == "win32" or not hasattr(signal, "pthread_sigmask"):  # nobody sends any
        yield
        return
    if gevent_of_threads() is not None:
        yield
        return
    # Those of a thread's own faults stay: faulthandler tells of them.
    faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class SingleFlight(Generic[Result]):
    """Callers that come while a run is under way wait for it and share what it gives or raises.

    Without it, 32 threads that connect at once to a server that is away would fail one after
    the other, the last one after 32 deadlines.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _under_way
        self._under_way: Future[Result] | None = None

    @property
    def under_way(self) -> bool:
        """Whether a run is going on now."""
        return self._under_way is not None

    def run(self, call: Callable[[], Result]) -> Result:
        """Run ``call``, or wait for the run that is under way; its deadline bounds the wait."""
        with self._lock:
            flight = self._under_way
            leads = flight is None
            if flight is None:
                flight = self._under_way = Future()
        if leads:
            _settle(flight, call)
            with self._lock:
                self._under_way = None
        return flight.result()

    def wait(self) -> None:
        """Return when no run is under way; what the run gives or raises is its callers' affair."""
        flight = self._under_way
        if flight is not None:
            flight.exception()
