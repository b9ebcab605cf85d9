"""When is something tried again, after which pause, and how often? The one retry policy that all
of datalayer asks, and ``db.retry``, which puts it on an application's function."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import ParamSpec, TypeVar, overload

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    stop_when_event_set,
    wait_none,
    wait_random_exponential,
)
from tenacity.nap import sleep, sleep_using_event

from datalayer.concurrency.flow import process_mark
from datalayer.context.deadlines import deadline
from datalayer.context.decorators import comes_later, name_of, runs_later
from datalayer.errors import ConfigurationError, OutcomeUnknownError, UnavailableError
from datalayer.monitoring import tracing

logger = logging.getLogger("datalayer.retry")

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 5.0


def retrying(
    *,
    attempts: int,
    retryable: Callable[[BaseException], bool],
    max_seconds: float = inf,
    cancelled: threading.Event | None = None,
    before_sleep: Callable[[RetryCallState], None] | None = None,
    pauses: bool = True,
    first_wait_seconds: float = FIRST_WAIT_SECONDS,
) -> Retrying:
    """A tenacity ``Retrying`` that repeats a call while ``retryable`` says that it may help.

    It ends after ``attempts`` tries, before a pause that would pass ``max_seconds`` counted
    from the first try, or as soon as ``cancelled`` is set, also in the middle of a pause. The
    last error is raised as it is. Pauses are drawn evenly between zero and a limit that doubles
    from ``first_wait_seconds`` to ``LONGEST_WAIT_SECONDS`` ("full jitter"), so that workers
    that lost their server together do not come back together. Without ``pauses`` the next
    attempt follows at once: where the driver itself waits for a server.
    """
    stop = stop_after_attempt(attempts) | stop_before_delay(max_seconds)
    wait = wait_random_exponential(multiplier=first_wait_seconds, max=LONGEST_WAIT_SECONDS)
    return Retrying(
        stop=stop if cancelled is None else stop | stop_when_event_set(cancelled),
        wait=wait if pauses else wait_none(),
        retry=retry_if_exception(retryable),
        sleep=sleep if cancelled is None else sleep_using_event(cancelled),
        before_sleep=before_sleep,
        reraise=True,
    )


def run_again(
    attempt: Callable[[float], Result],
    *,
    attempts: int,
    max_seconds: float,
    retryable: Callable[[BaseException], bool],
    before_sleep: Callable[[RetryCallState], None],
    first_wait_seconds: float = FIRST_WAIT_SECONDS,
) -> Result:
    """Call ``attempt`` with the seconds that are left, as often as the policy allows.

    A child that was forked inside doesn't begin anew what its parent is at.
    """
    mark, ends = process_mark(), monotonic() + max_seconds
    policy = retrying(
        attempts=attempts,
        retryable=lambda exc: bool(mark[0]) and retryable(exc),
        max_seconds=max_seconds,
        before_sleep=before_sleep,
        first_wait_seconds=first_wait_seconds,
    )
    return policy(lambda: attempt(max(ends - monotonic(), 0.001)))


def next_pause(last_seconds: float, longest_seconds: float = LONGEST_WAIT_SECONDS) -> float:
    """How many seconds a thread that never gives up waits after another failure in a row: twice
    as long as the last time, which is 0 at the first failure."""
    return min(max(last_seconds * 2, FIRST_WAIT_SECONDS), longest_seconds)


@overload
def retry(function: Callable[Arguments, Result], /) -> Callable[Arguments, Result]: ...


@overload
def retry(
    *, attempts: int = 5, max_seconds: float = 20.0, repeatable: bool = False
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]: ...


def retry(
    function: Callable[Arguments, Result] | None = None,
    /,
    *,
    attempts: int = 5,
    max_seconds: float = 20.0,
    repeatable: bool = False,
) -> (
    Callable[Arguments, Result]
    | Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]
):
    """Run a function again while the database is away.

        @db.retry
        def find_user(email): ...

        @db.retry(attempts=3, repeatable=True)
        def set_status(user_id, status): ...

    Tried again are operations that had no effect (``UnavailableError``), so the function must
    be one whose other effects may happen twice. After a write whose outcome is unknown it is
    tried again only if you call it ``repeatable``: doing it twice does no more than doing it
    once, as with ``set__`` and an ``_id`` of your own, and unlike ``inc__`` and ``push__``.

    At most ``attempts`` times, with pauses of up to 5 seconds drawn at random, and at most
    ``max_seconds`` in all: each attempt's operations have what is left of that for a deadline.
    The last error is raised as it is. Do not use it around single calls that the driver retries
    anyway (``save()``, one query): it rides through a fail-over by itself.

    Raises:
        ConfigurationError: for a generator or a coroutine function, whose body runs after the
            call; when it is called, for a function that gives one.
    """
    again = (UnavailableError, OutcomeUnknownError) if repeatable else (UnavailableError,)

    def decorate(call: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        return _retried(call, attempts, max_seconds, again)

    return decorate if function is None else decorate(function)


def _retried(
    call: Callable[Arguments, Result],
    attempts: int,
    max_seconds: float,
    again: tuple[type[Exception], ...],
) -> Callable[Arguments, Result]:
    name = name_of(call)
    if runs_later(call):
        raise ConfigurationError(_refusal(name))

    @functools.wraps(call)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        def attempt(seconds_left: float) -> Result:
            with deadline(seconds_left):
                result = call(*args, **kwargs)
            if comes_later(result):
                raise ConfigurationError(_refusal(name))
            return result

        return run_again(
            attempt,
            attempts=attempts,
            max_seconds=max_seconds,
            retryable=lambda exc: isinstance(exc, again),
            before_sleep=functools.partial(_tell, name),
        )

    return run


def _refusal(name: str) -> str:
    return (
        f"{name} is or gives a generator or a coroutine, whose body runs after the call, and so "
        "is never run again; use @db.retry on a function that returns when it has done its work"
    )


def note_retry(state: RetryCallState) -> BaseException | None:
    """Have the current span tell that an attempt has failed and another one follows; the error
    that the attempt has ended with."""
    error = state.outcome.exception() if state.outcome else None
    facts = {"datalayer.attempt": state.attempt_number, "error.type": type(error).__name__}
    tracing.event("datalayer.retry", facts)
    return error


def _tell(name: str, state: RetryCallState) -> None:
    error = note_retry(state)
    logger.warning(
        "%s is tried again after %s",
        name,
        type(error).__name__,
        extra={
            "alias": getattr(error, "alias", None),
            "event": "retry",
            "attempt": state.attempt_number,
            "elapsed": round(state.seconds_since_start or 0.0, 3),
        },
    )
