"""Reading that begins on one side of a transaction's border and goes on at the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger import Account, Event
from places import Place, up_to_date

from datalayer import db
from datalayer.errors import TransactionError
from datalayer.settings import Settings

MANY = 25
CURSORS: dict[str, Callable[[], Iterator[Any]]] = {
    "queryset": lambda: iter(Account.objects.batch_size(10).no_cache()),
    "pymongo": lambda: iter(Account.objects.batch_size(10).no_cache().as_pymongo()),
    "find": lambda: Account._get_collection().find(batch_size=10),
    "raw batches": lambda: Account._get_collection().find_raw_batches(batch_size=10),
    "aggregate": lambda: Account.objects.aggregate([{"$match": {}}], batchSize=10),
}


@pytest.fixture
def many(databases: Settings, place: Place) -> None:
    everywhere = {"w": len(place.server.hosts)}
    accounts = [Account(name=str(number)) for number in range(MANY)]
    Account.objects.insert(accounts, write_concern=everywhere)
    events = [Event(number=number) for number in range(MANY)]
    Event.objects.insert(events, write_concern=everywhere)


@pytest.mark.parametrize("way", CURSORS)
def test_begun_inside_it_can_not_go_on_outside(many: None, way: str) -> None:
    with db.transaction():
        cursor = CURSORS[way]()
        next(cursor)
    with pytest.raises(TransactionError, match=r"begun in a transaction .* ask again outside"):
        list(cursor)


@pytest.mark.parametrize("way", CURSORS)
def test_begun_outside_it_goes_on_inside(many: None, way: str) -> None:
    with up_to_date():
        cursor = CURSORS[way]()
    next(cursor)
    with db.transaction():
        Account(name="new").save()
        assert len(list(cursor)) == (2 if way == "raw batches" else MANY - 1)


def test_a_queryset_read_inside_can_be_read_again_outside(many: None) -> None:
    with db.transaction():
        accounts = Account.objects.batch_size(10).no_cache()
        cursor = Account._get_collection().find(batch_size=10)
        assert (len(list(accounts)), len(list(cursor))) == (MANY, MANY)
    assert len(list(accounts)) == MANY
    assert len(list(cursor.rewind())) == MANY


def test_a_queryset_read_in_a_session_takes_part_in_a_transaction(many: None) -> None:
    with db.session():
        accounts = Account.objects.no_cache()
        assert len(list(accounts)) == MANY
        with db.transaction():
            Account(name="new").save()
            assert len(list(accounts)) == MANY + 1


def test_another_alias_is_read_in_many_batches_across_the_end(many: None) -> None:
    with up_to_date(), db.transaction():
        Account.objects.update(inc__balance=1)
        events = iter(Event.objects.batch_size(10).no_cache())
        for _ in range(MANY - 5):
            next(events)
    assert len(list(events)) == 5
