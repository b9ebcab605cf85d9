"""An error of the server ends a transaction, also where the application catches it: that is said
once, and only what may go well the next time is done again."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from ledger import Account, Broken, Plain, balances, insert_raw, names
from mongoengine.errors import BulkWriteError, NotUniqueError, OperationError
from places import Place
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.errors import TransactionError, UnavailableError
from datalayer.settings import Settings

DUPLICATES: dict[str, Callable[[], object]] = {
    "save": lambda: Account(name="taken").save(),
    "save of a change": lambda: renamed(Account.objects.get(name="other")).save(),
    "insert": lambda: Account.objects.insert(Account(name="taken")),
    "insert of many": lambda: Account.objects.insert([Account(name="x"), Account(name="taken")]),
    "update_one": lambda: Account.objects(name="other").update_one(set__name="taken"),
    "modify": lambda: Account.objects(name="other").modify(set__name="taken"),
    "collection": lambda: insert_raw({"name": "taken"}),
    "raw client": lambda: raw().account.insert_one({"name": "taken"}),
    "plain MongoEngine": lambda: plain_account().save(),
}
NEXT: dict[str, Callable[[], object]] = {
    "save": lambda: Account(name="after").save(),
    "read": lambda: Account.objects(name="other").first(),
    "plain MongoEngine": lambda: Plain(name="after").save(),
    "raw client": lambda: list(raw().account.find()),
    "nothing": lambda: None,
}


CAUGHT = (NotUniqueError, BulkWriteError, OperationError, OperationFailure)


def raw() -> Any:
    service = db.get("default")
    return service.client[service.name]


def plain_account() -> Any:
    """Of a class of plain MongoEngine on the same collection."""
    document = Plain(name="taken")
    document.switch_collection("account", keep_created=False)
    return document


def renamed(account: Account) -> Account:
    account.name = "taken"
    return account


@pytest.fixture
def taken(databases: Settings) -> None:
    """A name is taken, and another document is there."""
    Account.objects.insert([Account(name="taken"), Account(name="other")])


@pytest.mark.parametrize("way", DUPLICATES)
def test_a_duplicate_key_that_is_caught_is_told_once(taken: None, way: str) -> None:
    calls: list[int] = []

    @db.transactional
    def catching() -> None:
        calls.append(1)
        Account(name="before").save()
        with pytest.raises(CAUGHT):
            DUPLICATES[way]()
        Account(name="after").save()

    with pytest.raises(TransactionError, match="a duplicate key in 'account' was caught") as told:
        catching()
    assert (calls, names()) == ([1], ["other", "taken"])
    assert "taken" not in str(told.value)


@pytest.mark.parametrize("way", NEXT)
def test_whatever_comes_next_tells_it(taken: None, way: str) -> None:
    def catching() -> None:
        with pytest.raises(NotUniqueError):
            Account(name="taken").save()
        NEXT[way]()

    calls: list[int] = []
    with pytest.raises(TransactionError, match="a duplicate key in 'account' was caught"):
        db.transactional(lambda: (calls.append(1), catching()))()
    assert calls == [1]
    assert names() == ["other", "taken"]


def test_what_is_told_may_be_caught_too_and_is_told_again(taken: None) -> None:
    def catching() -> None:
        with db.transaction():
            for name in ("taken", "after", "afterwards"):
                with pytest.raises((NotUniqueError, TransactionError)):
                    Account(name=name).save()

    with pytest.raises(TransactionError, match="a duplicate key"):
        catching()
    assert names() == ["other", "taken"]


def test_the_applications_own_error_for_it_passes(taken: None) -> None:
    calls: list[int] = []

    @db.transactional
    def translating() -> None:
        calls.append(1)
        try:
            Account(name="taken").save()
        except NotUniqueError as exc:
            raise Broken from exc

    with pytest.raises(Broken):
        translating()
    assert calls == [1]


def test_other_errors_of_the_server_are_told_by_their_name(databases: Settings) -> None:
    def catching() -> None:
        with db.transaction():
            with pytest.raises(OperationFailure):
                list(Account._get_collection().find({"$unheard": 1}))
            Account(name="after").save()

    with pytest.raises(TransactionError, match="BadValue"):
        catching()


def test_an_error_that_leaves_the_transaction_as_it_is_does_not_matter(
    databases: Settings,
) -> None:
    with db.transaction():
        Account(name="before").save()
        with pytest.raises(OperationFailure):
            raw().command("unheard")
        with pytest.raises(TypeError):
            insert_raw(42)  # type: ignore[arg-type]
        Account(name="after").save()
    assert names() == ["after", "before"]


# What may go well the next time


def test_a_write_conflict_that_is_caught_is_run_again(place: Place, databases: Settings) -> None:
    account = Account(name="a").save()
    calls: list[int] = []

    @db.transactional
    def hiding() -> None:
        calls.append(1)
        Account.objects.first()
        if len(calls) == 1:
            meddle(place, databases, account.pk)
            with pytest.raises(OperationError):
                Account.objects(name="a").update_one(inc__balance=1)
        Account.objects(name="a").update_one(inc__balance=1)

    hiding()
    assert (len(calls), balances()) == (2, {"a": 101})


def test_after_the_last_attempt_it_is_told_what_it_was(place: Place, databases: Settings) -> None:
    account = Account(name="a").save()

    def hiding() -> None:
        with db.transaction():
            Account.objects.first()
            meddle(place, databases, account.pk)
            with pytest.raises(OperationError):
                Account.objects(name="a").update_one(inc__balance=1)

    with pytest.raises(UnavailableError, match="a write conflict, which was caught inside"):
        hiding()
    assert balances() == {"a": 100}


def test_a_write_without_a_reply_that_is_caught_is_run_again(place: Place, apart: str) -> None:
    calls: list[int] = []

    @db.transactional
    def hiding() -> None:
        calls.append(1)
        if len(calls) == 1:
            proxy.swallow_reply("insert")
            with pytest.raises(UnavailableError):
                Account(name="lost").save()
        Account(name=f"attempt {len(calls)}").save()

    with FaultyProxy(place.primary) as proxy:
        uris = {"default": place.through(proxy, apart)}
        with db.connected(Settings(databases=uris)):
            hiding()
            assert names() == ["attempt 2"]


def meddle(place: Place, settings: Settings, pk: object) -> None:
    """Change a document from outside, after the transaction has begun to read."""

    def change() -> None:
        with MongoClient[dict[str, Any]](place.uri) as client:
            accounts = client[settings["default"].database].account
            accounts.update_one({"_id": pk}, {"$inc": {"balance": 100}})

    other = threading.Thread(target=contextvars.Context().run, args=[change])
    contextvars.Context().run(other.start)
    other.join(60)


# Nested blocks


def test_a_duplicate_key_that_is_caught_outside_an_inner_block_is_told(taken: None) -> None:
    calls: list[int] = []

    @db.transactional
    def outer() -> None:
        calls.append(1)
        with pytest.raises(NotUniqueError), db.transaction():
            Account(name="taken").save()

    with pytest.raises(TransactionError, match=r"ended with an error \(a duplicate key in 'acc"):
        outer()
    assert (calls, names()) == ([1], ["other", "taken"])


def test_a_conflict_that_is_caught_outside_an_inner_block_is_run_again(
    place: Place, databases: Settings
) -> None:
    account = Account(name="a").save()
    calls: list[int] = []

    @db.transactional
    def outer() -> None:
        calls.append(1)
        Account.objects.first()
        if len(calls) == 1:
            meddle(place, databases, account.pk)
            with pytest.raises(OperationError), db.transaction():
                Account.objects(name="a").update_one(inc__balance=1)

    outer()
    assert len(calls) == 2


def test_an_error_of_the_application_in_an_inner_block_is_named(databases: Settings) -> None:
    def inner() -> None:
        with db.transaction():
            Account(name="a").save()
            raise Broken

    def outer() -> None:
        with db.transaction(), pytest.raises(Broken):
            inner()

    with pytest.raises(TransactionError, match="Broken"):
        outer()
    assert names() == []


def test_the_connection_works_on_after_all_that(taken: None) -> None:
    def catching() -> None:
        with db.transaction(), pytest.raises(NotUniqueError):
            Account(name="taken").save()

    for _ in range(3):
        with pytest.raises(TransactionError):
            catching()
    with db.transaction():
        Account(name="new").save()
    assert names() == ["new", "other", "taken"]
    assert registry.connection().monitors.pool.snapshot()["in_use"] == 0
