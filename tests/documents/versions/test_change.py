"""``Model.change``: nobody's change is lost, and each is made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mongoengine as me
import pytest
from mongoengine.errors import ValidationError
from pymongo.read_preferences import ReadPreference

from datalayer import BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.documents.collection import apart_from_transaction
from datalayer.errors import (
    ConfigurationError,
    DeadlineExceededError,
    StaleDocumentError,
    UnavailableError,
)
from datalayer.settings import Settings


class Account(BusinessDocument):
    balance = me.IntField(default=0, min_value=0)
    meta = {"versioned": True}


MODELS = (Account,)


def raw(model: Any) -> Any:
    return registry.connection("default").database[model._get_collection_name()]


@pytest.fixture(autouse=True)
def empty(shared: Settings) -> None:
    raw(Account).delete_many({})


def add_one(account: Any) -> None:
    account.balance += 1


class Meddling:
    """Adds 1 to an account, and before that, as often as wanted, lets another one add 100."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls = 0

    def __call__(self, account: Any) -> None:
        self.calls += 1
        if self.calls <= self.times:
            Account.objects(pk=account.pk).update(inc__balance=100)
        account.balance += 1


def test_it_loads_changes_and_saves() -> None:
    account = Account(balance=1).save()
    found = Account.change(account.pk, add_one)
    assert (found.balance, found.version) == (2, 2)
    assert raw(Account).find_one()["balance"] == 2


def test_it_is_done_again_where_others_were_quicker() -> None:
    account, meddling = Account().save(), Meddling(3)
    assert Account.change(account.pk, meddling).balance == 301
    assert (meddling.calls, raw(Account).find_one()["balance"]) == (4, 301)


def test_it_gives_up_after_so_many_attempts() -> None:
    account, meddling = Account().save(), Meddling(9)
    with pytest.raises(StaleDocumentError):
        Account.change(account.pk, meddling, attempts=2)
    assert (meddling.calls, raw(Account).find_one()["balance"]) == (2, 200)


def test_it_gives_up_after_so_many_seconds() -> None:
    account, meddling = Account().save(), Meddling(1000)
    with pytest.raises((StaleDocumentError, DeadlineExceededError)):
        Account.change(account.pk, meddling, attempts=1000, max_seconds=0.1)
    assert meddling.calls < 1000


def test_what_is_not_there_is_told() -> None:
    account = Account().save()
    account.delete()
    with pytest.raises(Account.DoesNotExist):
        Account.change(account.pk, add_one)


def test_what_is_deleted_meanwhile_is_told() -> None:
    account = Account().save()

    def delete(found: Any) -> None:
        Account.objects(pk=found.pk).delete()
        found.balance += 1

    with pytest.raises(Account.DoesNotExist):
        Account.change(account.pk, delete)


def test_a_function_that_raises_saves_nothing() -> None:
    account, calls = Account().save(), []

    def fail(found: Any) -> None:
        calls.append(found)
        found.balance += 1
        raise KeyError("no")

    with pytest.raises(KeyError):
        Account.change(account.pk, fail)
    assert (len(calls), raw(Account).find_one()["balance"]) == (1, 0)


def test_another_document_that_is_stale_is_not_tried_again() -> None:
    account, other = Account().save(), Account().save()
    Account.objects(pk=other.pk).update(inc__balance=1)
    calls = []

    def change_both(found: Any) -> None:
        calls.append(found)
        other.balance = 7
        other.save()

    with pytest.raises(StaleDocumentError):
        Account.change(account.pk, change_both)
    assert len(calls) == 1


def test_an_invalid_change_is_refused_once() -> None:
    account = Account().save()
    with pytest.raises(ValidationError):
        Account.change(account.pk, lambda found: setattr(found, "balance", -1))
    assert raw(Account).find_one()["balance"] == 0


def test_the_key_may_have_any_form() -> None:
    account = Account().save()
    assert Account.change(str(account.pk), Meddling(1)).balance == 101


def test_the_primary_is_asked_whatever_the_block_reads_from() -> None:
    account = Account().save()
    with db.read_from("secondaryPreferred"):
        found = Account.change(account.pk, Meddling(1))
    assert found.balance == 101
    assert Account._get_collection().read_preference == ReadPreference.PRIMARY


def later(found: Any) -> Iterator[None]:
    found.balance += 1
    yield


def later_in_turn(found: Any) -> Any:
    return later(found)


@pytest.mark.parametrize("function", [later, later_in_turn])
def test_a_function_whose_body_runs_later_is_refused(function: Any) -> None:
    account = Account().save()
    with pytest.raises(ConfigurationError, match="generator or a coroutine"):
        Account.change(account.pk, function)


# In transactions


def test_in_a_transaction_it_is_done_once_and_rolled_back_with_it() -> None:
    account, meddling = Account().save(), Meddling(1)
    with pytest.raises(StaleDocumentError), db.transaction():
        Account.change(account.pk, meddling)
    stored = raw(Account).find_one()
    assert (meddling.calls, stored["balance"], stored["version"]) == (1, 0, 1)


def add_as_others_do(account: Any) -> None:
    with apart_from_transaction(registry.connection("default"), "account") as accounts:
        accounts.update_one({"_id": account.pk}, {"$inc": {"balance": 100, "version": 1}})


def test_in_a_transaction_a_conflict_is_repeated_with_all_of_it() -> None:
    account, calls = Account().save(), []

    def meddle(found: Any) -> None:
        calls.append(found)
        if len(calls) == 1:
            add_as_others_do(found)
        found.balance += 1

    @db.transactional
    def change() -> None:
        Account.change(account.pk, meddle)

    change()
    assert (len(calls), raw(Account).find_one()["balance"]) == (2, 101)


def test_a_block_that_meets_others_is_told_at_once() -> None:
    account, calls = Account().save(), []

    def meddle(found: Any) -> None:
        calls.append(found)
        add_as_others_do(found)
        found.balance += 1

    with pytest.raises(UnavailableError), db.transaction():
        Account.change(account.pk, meddle)
    assert len(calls) == 1
