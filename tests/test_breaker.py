"""When the circuit breaker refuses calls, lets one through, and closes again."""

from __future__ import annotations

import pytest

from datalayer.breaker import COOL_DOWN_SECONDS, FAILURES_TO_OPEN, CircuitBreaker
from datalayer.errors import UnavailableError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("database1", clock)


def refuses(breaker: CircuitBreaker) -> bool:
    try:
        breaker.check()
    except UnavailableError:
        return True
    return False


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.failed()


def test_it_lets_calls_pass_at_first(breaker: CircuitBreaker) -> None:
    assert (refuses(breaker), breaker.state) == (False, "closed")


def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES_TO_OPEN - 1)
    assert not refuses(breaker)
    fail(breaker, 1)
    assert (refuses(breaker), breaker.state) == (True, "open")


def test_a_success_between_failures_starts_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES_TO_OPEN - 1)
    breaker.succeeded()
    fail(breaker, FAILURES_TO_OPEN - 1)
    assert not refuses(breaker)


def test_after_the_cool_down_one_call_tries(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += COOL_DOWN_SECONDS
    assert [refuses(breaker), refuses(breaker)] == [False, True]


def test_the_try_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += COOL_DOWN_SECONDS
    breaker.check()
    breaker.succeeded()
    assert (refuses(breaker), breaker.state) == (False, "closed")


def test_the_try_that_fails_keeps_it_open(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += COOL_DOWN_SECONDS
    breaker.check()
    breaker.failed()
    clock.now += COOL_DOWN_SECONDS / 2
    assert refuses(breaker)


def test_without_a_usable_server_nobody_tries(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.open()
    clock.now += 100 * COOL_DOWN_SECONDS
    assert refuses(breaker)


def test_a_server_that_is_back_closes_it(breaker: CircuitBreaker) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    breaker.open()
    breaker.reset()
    assert (refuses(breaker), breaker.state) == (False, "closed")
