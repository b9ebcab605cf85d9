"""Entries lie in the database of the writes that they belong to, a tenant's say, and are found
there by every relay."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from deliveries import Note, arrived, outbox
from fresh_databases import model_registry
from mongoengine import IntField
from mongoengine.errors import NotUniqueError
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.outbox import databases as outbox_databases
from datalayer.outbox.entries import DATABASES, OUTBOX
from datalayer.settings import Settings


class Sale(Document):
    number = IntField(unique=True)


@pytest.fixture
def tenants(databases: Settings) -> Iterator[list[str]]:
    names = [f"test_{secrets.token_hex(5)}_{each}" for each in "ab"]
    with model_registry(Note, Sale):
        yield names
    db.outbox.stop()
    db.router(None)
    db.tenants()
    db.tenants(alias="database1")
    for alias in ("default", "database1"):
        for name in names:
            registry.own_connection(alias).client.drop_database(name)


def sell(tenant: str, number: int) -> None:
    with db.using(database=tenant), db.transaction():
        Sale(number=number).save()
        db.outbox.add(Note(name=tenant, number=number), key=tenant)


def in_database(name: str, collection: str = OUTBOX) -> Any:
    return registry.own_connection("default").client[name][collection]


def test_the_entry_lies_beside_the_write(tenants: list[str]) -> None:
    sell(tenants[0], 1)
    assert in_database(tenants[0]).count_documents({}) == 1
    assert outbox().count_documents({}) == 0
    with db.using(database=tenants[0]):
        assert db.outbox.waiting().entries == 1


def test_a_rollback_takes_the_entry_with_it(tenants: list[str]) -> None:
    sell(tenants[0], 1)
    with pytest.raises(NotUniqueError):
        sell(tenants[0], 1)
    assert in_database(tenants[0]).count_documents({}) == 1


def test_delivering_goes_through_all_databases(tenants: list[str]) -> None:
    for number in range(3):
        for tenant in tenants:
            sell(tenant, number)
    db.outbox.add(Note(name="own", number=1))
    assert db.outbox.deliver().delivered == 7
    assert [arrived(each) for each in (*tenants, "own")] == [[0, 1, 2], [0, 1, 2], [1]]
    assert db.outbox.deliver().delivered == 0


def test_delivering_inside_a_block_goes_through_its_database(tenants: list[str]) -> None:
    for tenant in tenants:
        sell(tenant, 1)
    with db.using(database=tenants[0]):
        assert db.outbox.deliver().delivered == 1
    assert arrived(tenants[1]) == []


def test_the_document_goes_to_the_database_of_the_block(tenants: list[str]) -> None:
    place = ("database1", tenants[1])
    with db.using(database=tenants[0], database1=place):
        db.outbox.add(Note(name="theirs", number=1), key="k")
    db.outbox.add(Note(name="own", number=1), key="k")
    assert db.outbox.deliver().delivered == 2
    assert (arrived("theirs"), arrived("own")) == ([], [1])
    with db.using(database1=place):
        assert (arrived("theirs"), arrived("own")) == ([1], [])


def test_a_router_says_where_the_document_goes(tenants: list[str]) -> None:
    db.router(lambda model: ("database1", tenants[0]) if model is Note else None)
    db.outbox.add(Note(name="theirs", number=1))
    db.router(None)
    db.outbox.deliver()
    with db.using(database1=("database1", tenants[0])):
        assert arrived("theirs") == [1]


def test_a_relay_finds_new_databases(tenants: list[str]) -> None:
    db.outbox.start(interval_seconds=0.01)
    for number in range(3):
        for tenant in tenants:
            sell(tenant, number)
    wait_until(lambda: all(arrived(each) == [0, 1, 2] for each in tenants), 20, "all arrived")


def test_a_database_that_fails_stops_no_other(
    tenants: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for tenant in tenants:
        sell(tenant, 1)
    db.tenants(f"{tenants[1]}")
    with caplog.at_level(logging.WARNING, "datalayer.outbox"):
        db.outbox.start(interval_seconds=0.01)
        wait_until(lambda: arrived(tenants[1]) == [1], 20, "the other has delivered")
        db.outbox.stop()
    assert arrived(tenants[0]) == []
    assert "pattern" in caplog.text


def test_a_target_that_is_not_allowed_waits_alone(tenants: list[str]) -> None:
    with db.using(database1=("database1", tenants[0])):
        db.outbox.add(Note(name="theirs", number=1))
    db.outbox.add(Note(name="own", number=1))
    db.tenants("nobody", alias="database1")
    done = db.outbox.deliver()
    assert (done.delivered, done.failed) == (1, 1)
    db.tenants(alias="database1")
    assert db.outbox.deliver().delivered == 1


def test_the_list_of_databases_costs_one_small_write(tenants: list[str]) -> None:
    sell(tenants[0], 1)
    before = in_database(db.database.name, DATABASES).find_one()
    for number in range(2, 10):
        sell(tenants[0], number)
    assert in_database(db.database.name, DATABASES).find_one() == before


def test_databases_without_news_are_looked_at_now_and_then(
    tenants: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(outbox_databases, "monotonic", lambda: clock[0])
    sell(tenants[0], 1)
    watch = outbox_databases.Watch("default")

    def looks() -> int:
        found = list(watch.due())
        for name in found:
            watch.looked(name, something_waits=False)
        return len(found)

    assert [looks(), looks()] == [1, 1]  # it was written to just now
    clock[0] += 100
    assert [looks(), looks()] == [1, 0]
    clock[0] += 31
    assert looks() == 1
    sell(tenants[0], 2)
    assert looks() == 1
