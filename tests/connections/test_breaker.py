"""When the circuit breaker refuses calls, lets one through, and closes again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from datalayer.connections.breaker import COOL_DOWN_SECONDS, FAILURES_TO_OPEN, CircuitBreaker
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


# Calls that tell nothing


def doubt(breaker: CircuitBreaker, times: int) -> list[object | None]:
    return [breaker.doubted() for _ in range(times)]


def test_doubtful_calls_do_not_open_it(breaker: CircuitBreaker) -> None:
    doubt(breaker, 10 * FAILURES_TO_OPEN)
    assert not refuses(breaker)


def test_after_doubtful_calls_in_a_row_the_server_is_to_be_asked_once(
    breaker: CircuitBreaker,
) -> None:
    questions = doubt(breaker, FAILURES_TO_OPEN + 3)
    assert [question is not None for question in questions] == [False, False, True] + [False] * 3


def test_a_success_between_doubtful_calls_starts_their_count_anew(breaker: CircuitBreaker) -> None:
    doubt(breaker, FAILURES_TO_OPEN - 1)
    breaker.succeeded()
    assert doubt(breaker, FAILURES_TO_OPEN - 1) == [None] * (FAILURES_TO_OPEN - 1)


def asked(breaker: CircuitBreaker, *, answer: bool | None) -> None:
    (question,) = filter(None, doubt(breaker, FAILURES_TO_OPEN))
    breaker.answered(question, answer=answer)


def test_a_server_that_does_not_answer_opens_it_until_one_call_tries(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    asked(breaker, answer=False)
    assert (refuses(breaker), breaker.state) == (True, "open")
    clock.now += COOL_DOWN_SECONDS
    assert [refuses(breaker), refuses(breaker)] == [False, True]


@pytest.mark.parametrize("answer", [True, None])
def test_a_server_that_answers_or_could_not_be_asked_leaves_it_closed(
    breaker: CircuitBreaker, answer: bool | None
) -> None:
    asked(breaker, answer=answer)
    assert not refuses(breaker)


def test_a_server_that_could_not_be_asked_is_asked_again(breaker: CircuitBreaker) -> None:
    asked(breaker, answer=None)
    assert breaker.doubted() is not None


def test_a_success_outweighs_a_question_that_was_asked_before(breaker: CircuitBreaker) -> None:
    *_, question = doubt(breaker, FAILURES_TO_OPEN)
    assert question is not None
    breaker.succeeded()
    breaker.answered(question, answer=False)
    assert not refuses(breaker)


def test_a_question_from_before_it_was_closed_counts_no_more(breaker: CircuitBreaker) -> None:
    *_, old = doubt(breaker, FAILURES_TO_OPEN)
    assert old is not None
    breaker.reset()
    doubt(breaker, FAILURES_TO_OPEN)
    breaker.answered(old, answer=False)
    assert not refuses(breaker)


def test_a_try_that_tells_nothing_leaves_it_to_the_next_call(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    clock.now += COOL_DOWN_SECONDS
    breaker.check()
    breaker.undecided()
    assert [refuses(breaker), refuses(breaker)] == [False, True]


def test_an_answer_does_not_close_what_calls_have_opened_that_had_their_time(
    breaker: CircuitBreaker,
) -> None:
    """A server whose disk hangs answers pings."""
    fail(breaker, FAILURES_TO_OPEN)
    asked(breaker, answer=True)
    assert breaker.state == "open"
    breaker.succeeded()
    assert breaker.state == "closed"


def test_an_answer_closes_what_a_missing_answer_has_opened(breaker: CircuitBreaker) -> None:
    asked(breaker, answer=False)
    question = breaker.doubted()  # the try was given too little time, too
    assert question is not None
    breaker.answered(question, answer=True)
    assert (refuses(breaker), breaker.state) == (False, "closed")


def test_a_try_without_an_answer_waits_for_the_question(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """While a server hangs, one call is held up for each cool-down, however short its time."""
    asked(breaker, answer=False)
    clock.now += COOL_DOWN_SECONDS
    breaker.check()
    question = breaker.doubted()
    assert question is not None
    assert refuses(breaker)
    breaker.answered(question, answer=False)
    clock.now += COOL_DOWN_SECONDS / 2
    assert refuses(breaker)


def test_a_try_whose_question_could_not_be_asked_leaves_it_to_the_next_call(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    asked(breaker, answer=False)
    clock.now += COOL_DOWN_SECONDS
    breaker.check()
    question = breaker.doubted()
    assert question is not None
    breaker.answered(question, answer=None)
    assert [refuses(breaker), refuses(breaker)] == [False, True]


@pytest.mark.parametrize("end", [CircuitBreaker.undecided, CircuitBreaker.doubted])
def test_calls_from_before_it_was_opened_do_not_shorten_the_cool_down(
    breaker: CircuitBreaker, end: Callable[[CircuitBreaker], object]
) -> None:
    fail(breaker, FAILURES_TO_OPEN)
    end(breaker)
    assert refuses(breaker)
