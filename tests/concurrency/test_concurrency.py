"""Running functions side by side, and sharing one run between simultaneous callers."""

from __future__ import annotations

import signal
import threading

import pytest

from datalayer.concurrency.threads import SingleFlight, side_by_side, signals_held

DEADLINE = 60.0


def test_side_by_side_gives_each_result_under_its_name() -> None:
    assert side_by_side({"one": lambda: 1, "two": lambda: 2}) == {"one": 1, "two": 2}


def test_side_by_side_of_nothing_is_nothing() -> None:
    assert side_by_side({}) == {}


def test_an_error_is_the_value_of_the_call_that_raised_it() -> None:
    error = ValueError("no")

    def fails() -> int:
        raise error

    assert side_by_side({"bad": fails, "good": lambda: 1}) == {"bad": error, "good": 1}


def test_the_calls_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=DEADLINE)
    outcomes = side_by_side({"one": both.wait, "two": both.wait})
    assert sorted(outcomes.values()) == [0, 1]


def test_a_call_that_outlasts_the_time_out_is_not_waited_for() -> None:
    release = threading.Event()
    try:
        outcomes = side_by_side({"hangs": lambda: release.wait(DEADLINE), "ends": lambda: 1}, 0.2)
    finally:
        release.set()
    assert isinstance(outcomes["hangs"], TimeoutError)
    assert outcomes["ends"] == 1


class Race:
    """Starts many threads on one call and keeps what each of them got."""

    def __init__(self, call: object, threads: int) -> None:
        self.results: list[object] = []
        self._call = call
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        try:
            self.results.append(self._call())  # type: ignore[operator]
        except Exception as exc:
            self.results.append(exc)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE)


def test_callers_that_come_during_a_run_share_its_result() -> None:
    flight: SingleFlight[object] = SingleFlight()
    started, release = threading.Event(), threading.Event()
    runs: list[object] = []

    def slow() -> object:
        runs.append(None)
        started.set()
        release.wait(DEADLINE)
        return "shared"

    leader, followers = Race(lambda: flight.run(slow), 1), Race(lambda: flight.run(slow), 8)
    leader.start()
    assert started.wait(DEADLINE)
    followers.start()
    assert flight.under_way
    release.set()
    leader.finish()
    followers.finish()
    assert set(leader.results + followers.results) == {"shared"}
    assert 1 <= len(runs) <= 2  # a follower that starts after the end leads a run of its own


def test_callers_share_the_error_too_and_the_next_run_starts_afresh() -> None:
    flight: SingleFlight[int] = SingleFlight()

    def fails() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        flight.run(fails)
    assert flight.run(lambda: 5) == 5


def test_waiting_returns_when_the_run_has_ended_even_with_an_error() -> None:
    flight: SingleFlight[int] = SingleFlight()
    started, release = threading.Event(), threading.Event()

    def fails() -> int:
        started.set()
        release.wait(DEADLINE)
        raise ValueError("no")

    race = Race(lambda: flight.run(fails), 1)
    race.start()
    assert started.wait(DEADLINE)
    release.set()
    flight.wait()
    race.finish()
    assert not flight.under_way


def test_an_interrupt_in_the_calling_thread_is_not_kept_back() -> None:
    release = threading.Event()

    def interrupted() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side({"hangs": lambda: release.wait(DEADLINE), "last": interrupted})
    release.set()


def test_threads_started_while_signals_are_held_take_none() -> None:
    masks: list[set[signal.Signals]] = []

    def note_mask() -> None:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    with signals_held():
        thread = threading.Thread(target=note_mask)
        thread.start()
    thread.join()
    note_mask()
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} <= masks[0]
    assert masks[1] == set()
