"""The soak notices what it claims to notice: its accounts and its clock, without the half hour."""

from __future__ import annotations

import contextlib

import pytest
from accounts import Account, balance
from scheduling import without_waits

from datalayer.errors import OutcomeUnknownError, UnavailableError

STORED, REFUSED, UNCERTAIN = range(3)
"""The numbers of three writes, each with another end."""


@pytest.fixture
def account() -> Account:
    account = Account("a")
    for error in (None, UnavailableError("away"), OutcomeUnknownError("no reply")):
        number = account.next_number()
        with contextlib.suppress(UnavailableError, OutcomeUnknownError), account.writing(number):
            if error is not None:
                raise error
    return account


@pytest.mark.parametrize("stored", [[STORED], [STORED, UNCERTAIN]])
def test_what_was_told_is_true(account: Account, stored: list[int]) -> None:
    found = balance(account, stored)
    assert (found.acknowledged, found.unknown) == (1, 1)
    assert list(found.violations("a")) == []


@pytest.mark.parametrize(
    ("stored", "noticed"),
    [
        ([], "a: 1 acknowledged writes are lost, the first [0]"),
        ([STORED, STORED], "a: 1 writes are stored twice, the first [0]"),
        ([STORED, UNCERTAIN, UNCERTAIN], "a: 1 writes are stored twice, the first [2]"),
        (
            [STORED, REFUSED],
            "a: 1 writes are stored whose calls said that they had no effect, the first [1]",
        ),
    ],
    ids=["lost", "doubled", "doubled_without_a_reply", "denied"],
)
def test_what_was_not_true_is_noticed(account: Account, stored: list[int], noticed: str) -> None:
    assert list(balance(account, stored).violations("a")) == [noticed]


def test_on_a_machine_that_has_time_all_of_it_counts() -> None:
    assert without_waits(100.0, 101.5, []) == 1.5


def test_what_the_machine_took_does_not_count() -> None:
    assert without_waits(100.0, 103.0, [(101.0, 0.5), (102.5, 1.0)]) == 1.5


def test_of_a_wait_that_began_before_the_deadline_what_is_left_does_not_count() -> None:
    assert without_waits(100.0, 101.0, [(99.0, 5.0), (100.25, 4.0)]) == 0.75


def test_a_call_that_hangs_is_noticed_on_a_busy_machine() -> None:
    """Two thirds of the time go to others."""
    waits = [(100.0 + each, 0.66) for each in range(1, 61)]
    assert without_waits(100.0, 160.0, waits) > 20
