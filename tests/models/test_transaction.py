"""Transactions: one for each idempotency key, moved by one worker at a time."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import mongoengine
import pytest
from models_explained import indexes_used
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.documents import TransitionError, utc_now
from datalayer.models import Transaction, User


def charge(user: User, amount: Any = "12.50", key: str = "order-1") -> Transaction:
    return Transaction.charge(user, amount, "EUR", idempotency_key=key)


def side_by_side(calls: list[Any]) -> list[Any]:
    """What each call returned or raised; all start together."""
    start = threading.Barrier(len(calls))
    outcomes: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        start.wait(60)
        try:
            outcomes[number] = calls[number]()
        except Exception as exc:
            outcomes[number] = exc

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def test_a_charge_is_pending_and_exact(ann: User) -> None:
    made = charge(ann, "12.5")
    assert (made.status, str(made.amount), made.currency) == ("pending", "12.50", "EUR")


def test_charging_again_with_the_same_key_gives_the_same_transaction(ann: User) -> None:
    first = charge(ann)
    first.authorise()
    again = charge(ann, Decimal("12.5"))
    assert (again.pk, again.status) == (first.pk, "authorised")
    assert Transaction.objects.count() == 1


def test_the_same_key_for_another_amount_is_refused(ann: User) -> None:
    charge(ann)
    with pytest.raises(ValidationError, match="another amount"):
        charge(ann, "13.00")
    with pytest.raises(ValidationError, match="another amount"):
        Transaction.charge(ann, "12.50", "USD", idempotency_key="order-1")


def test_keys_belong_to_a_user(ann: User, bob: User) -> None:
    assert charge(ann).pk != charge(bob).pk


def test_threads_with_one_key_charge_once(ann: User) -> None:
    made = side_by_side([lambda: charge(ann) for _ in range(8)])
    assert {each.pk for each in made} == {Transaction.objects.get().pk}


def test_the_database_itself_refuses_a_second_charge(ann: User) -> None:
    charge(ann)
    with pytest.raises(NotUniqueError):
        Transaction(user=ann, amount=1, currency="EUR", idempotency_key="order-1").save()


@pytest.mark.parametrize("amount", [0, "-1", 1.5, "1.001", "NaN", None, "much", True])
def test_a_bad_amount_is_refused(ann: User, amount: Any) -> None:
    with pytest.raises(ValidationError):
        charge(ann, amount)
    assert Transaction.objects.count() == 0


@pytest.mark.parametrize("key", ["", None, "x" * 201])
def test_a_key_is_required(ann: User, key: Any) -> None:
    with pytest.raises(ValidationError, match="idempotency_key"):
        charge(ann, key=key)


def test_it_goes_from_pending_to_refunded(ann: User) -> None:
    made = charge(ann)
    seen = []
    for move in (made.authorise, made.capture, made.refund):
        move()
        seen.append(Transaction.objects.get().status)
    assert seen == ["authorised", "captured", "refunded"]


def test_a_failure_keeps_its_reason(ann: User) -> None:
    made = charge(ann)
    made.fail("card expired")
    stored = Transaction.objects.get()
    assert (stored.status, stored.failure_reason) == ("failed", "card expired")


@pytest.mark.parametrize(
    ("status", "move"),
    [
        ("pending", Transaction.capture),
        ("pending", Transaction.refund),
        ("authorised", Transaction.refund),
        ("captured", Transaction.cancel),
        ("captured", Transaction.authorise),
        ("refunded", Transaction.refund),
        ("failed", Transaction.authorise),
        ("cancelled", Transaction.capture),
    ],
)
def test_illegal_moves_are_refused(ann: User, status: str, move: Any) -> None:
    made = Transaction(
        user=ann, amount=1, currency="EUR", idempotency_key="k", status=status
    ).save()
    with pytest.raises(TransitionError):
        move(made)
    assert Transaction.objects.get().status == status


def test_of_many_workers_one_captures(ann: User) -> None:
    charge(ann).authorise()
    copies = [Transaction.objects.get() for _ in range(8)]
    outcomes = side_by_side([copy.capture for copy in copies])
    assert outcomes.count(None) == 1
    assert [type(each) for each in outcomes if each is not None] == [TransitionError] * 7


def test_capture_and_cancel_exclude_each_other(ann: User) -> None:
    charge(ann).authorise()
    one, other = Transaction.objects.get(), Transaction.objects.get()
    outcomes = side_by_side([one.capture, other.cancel])
    assert outcomes.count(None) == 1


def test_a_user_with_transactions_cannot_be_deleted(ann: User) -> None:
    charge(ann)
    with pytest.raises(mongoengine.OperationError, match="refers to it"):
        ann.delete()


def test_a_user_sees_his_own_newest_first(ann: User, bob: User) -> None:
    first, second = charge(ann, key="a"), charge(ann, key="b")
    charge(bob)
    assert list(Transaction.of(ann)) == [second, first]
    assert indexes_used(Transaction.of(ann)) == {"user_1_created_at_-1"}


def test_workers_find_what_waits(ann: User) -> None:
    made = charge(ann)
    assert list(Transaction.waiting("pending")) == [made]
    assert list(Transaction.waiting("pending", utc_now() - timedelta(minutes=1))) == []
    assert indexes_used(Transaction.waiting("pending")) == {"status_1_status_changed_at_1"}


def test_looking_for_a_key_uses_its_index(ann: User) -> None:
    charge(ann)
    found = Transaction.objects(user=ann, idempotency_key="order-1")
    assert indexes_used(found) == {"user_1_idempotency_key_1"}
