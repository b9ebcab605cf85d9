"""The one retry policy of datalayer: capped exponential backoff with full jitter, a limit on
the attempts and one total deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

__all__ = ["FIRST_WAIT_SECONDS", "LONGEST_WAIT_SECONDS", "retrying"]

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 5.0


def retrying(
    *,
    attempts: int,
    max_seconds: float,
    retryable: Callable[[BaseException], bool],
    cancelled: threading.Event,
    before_sleep: Callable[[RetryCallState], None],
) -> Retrying:
    """A tenacity ``Retrying`` that repeats a call while ``retryable`` says that it may help.

    It ends after ``attempts`` tries, before a pause that would pass ``max_seconds`` counted
    from the first try, or as soon as ``cancelled`` is set, also in the middle of a pause. The
    last error is raised as it is. Pauses are drawn evenly between zero and a limit that doubles
    from ``FIRST_WAIT_SECONDS`` to ``LONGEST_WAIT_SECONDS`` ("full jitter"), so that workers
    that lost their server together do not come back together.
    """
    return Retrying(
        stop=stop_after_attempt(attempts)
        | stop_before_delay(max_seconds)
        | stop_when_event_set(cancelled),
        wait=wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS),
        retry=retry_if_exception(retryable),
        sleep=sleep_using_event(cancelled),
        before_sleep=before_sleep,
        reraise=True,
    )
