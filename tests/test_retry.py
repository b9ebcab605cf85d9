"""When a call is repeated, and when it is given up."""

from __future__ import annotations

import threading

import pytest
from tenacity import RetryCallState

from datalayer.retry import LONGEST_WAIT_SECONDS, retrying


class Flaky:
    """Raises its errors one after the other, then returns how often it was called."""

    def __init__(self, *errors: Exception) -> None:
        self.calls = 0
        self._errors = list(errors)

    def __call__(self) -> int:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return self.calls


def policy(pauses: list[float] | None = None, **changes: object):
    noted = [] if pauses is None else pauses

    def note(state: RetryCallState) -> None:
        assert state.next_action is not None
        noted.append(state.next_action.sleep)

    options: dict[str, object] = {
        "attempts": 3,
        "max_seconds": 60.0,
        "retryable": lambda exc: isinstance(exc, ConnectionError),
        "cancelled": threading.Event(),
        "before_sleep": note,
    }
    made = retrying(**{**options, **changes})  # type: ignore[arg-type]
    made.sleep = lambda seconds: None
    return made


def test_a_retryable_error_is_tried_again() -> None:
    assert policy()(Flaky(ConnectionError(), ConnectionError())) == 3


def test_other_errors_are_raised_at_once() -> None:
    flaky = Flaky(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        policy()(flaky)
    assert flaky.calls == 1


def test_the_last_error_is_raised_as_it_is_when_the_attempts_are_used_up() -> None:
    flaky = Flaky(*(ConnectionError(str(number)) for number in range(1, 9)))
    with pytest.raises(ConnectionError, match="3"):
        policy()(flaky)
    assert flaky.calls == 3


def test_a_pause_that_would_pass_the_total_deadline_is_not_taken() -> None:
    flaky = Flaky(*(ConnectionError() for _ in range(9)))
    with pytest.raises(ConnectionError):
        policy(attempts=9, max_seconds=0.0)(flaky)
    assert flaky.calls == 1


def test_cancelling_ends_the_attempts() -> None:
    cancelled = threading.Event()
    cancelled.set()
    flaky = Flaky(*(ConnectionError() for _ in range(9)))
    with pytest.raises(ConnectionError):
        policy(cancelled=cancelled)(flaky)
    assert flaky.calls == 1


def test_the_pauses_are_random_and_never_above_the_limit() -> None:
    pauses: list[float] = []
    policy(pauses, attempts=30, max_seconds=10_000.0)(
        Flaky(*(ConnectionError() for _ in range(29)))
    )
    assert max(pauses) <= LONGEST_WAIT_SECONDS
    assert len(set(pauses)) == 29
