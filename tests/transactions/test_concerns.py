"""Inside a transaction its own concerns hold, whatever the URI, a collection or a call asks for;
outside theirs do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ledger import Account, Event, Plain, PlainEvent, insert_raw, names
from places import Place, up_to_date
from pymongo import InsertOne, ReadPreference, UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.read_concern import ReadConcern

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.errors import OutcomeUnknownError, TransactionError
from datalayer.settings import Settings

NOWHERE = WriteConcern("no such members")  # refused where it is heard


def raw(alias: str = "default") -> Any:
    service = db.get(alias)
    return service.client[service.name]


def demanding(collection: Any) -> Collection[Any]:
    return collection.with_options(  # type: ignore[no-any-return]
        write_concern=NOWHERE,
        read_preference=ReadPreference.SECONDARY,
        read_concern=ReadConcern("linearizable"),
    )


def first() -> Account:
    return Account.objects.first()  # type: ignore[no-any-return]


WRITES: dict[str, Callable[[], object]] = {
    "save": lambda: Account(name="new").save(),
    "save of a change": lambda: changed(first()).save(),
    "save with a concern": lambda: Account(name="new").save(write_concern={"w": 1, "j": True}),
    "update of a document": lambda: first().update(inc__balance=1),
    "modify of a document": lambda: first().modify(inc__balance=1),
    "delete of a document": lambda: first().delete(),
    "delete with a concern": lambda: first().delete(w=1),
    "insert": lambda: Account.objects.insert([Account(name="new"), Account(name="newer")]),
    "insert with a concern": lambda: Account.objects.insert(
        Account(name="new"), write_concern={"w": "majority"}
    ),
    "update": lambda: Account.objects.update(inc__balance=1),
    "update with a concern": lambda: Account.objects.update(
        inc__balance=1, write_concern={"w": "majority"}
    ),
    "update_one": lambda: Account.objects.update_one(inc__balance=1),
    "modify": lambda: Account.objects.modify(inc__balance=1),
    "upsert": lambda: Account.objects(name="new").update_one(set__balance=1, upsert=True),
    "upsert_one": lambda: Account.objects(name="new").upsert_one(set__balance=1),
    "delete": lambda: Account.objects(name="a").delete(),
    "bulk_write": lambda: Account._get_collection().bulk_write(
        [InsertOne({"name": "new"}), UpdateOne({}, {"$inc": {"balance": 1}})]
    ),
    "find_one_and_update": lambda: Account._get_collection().find_one_and_update(
        {}, {"$inc": {"balance": 1}}
    ),
    "collection with options": lambda: demanding(Account._get_collection()).insert_one({}),
    "raw client": lambda: raw().account.insert_one({"name": "new"}),
    "raw client with options": lambda: demanding(raw().account).insert_one({"name": "new"}),
    "raw sub-collection": lambda: raw().account.parts.insert_one({}),
    "plain MongoEngine": lambda: Plain(name="new").save(),
    "plain MongoEngine with a concern": lambda: Plain(name="new").save(write_concern={"w": 1}),
    "plain MongoEngine's update": lambda: Plain.objects.update(set__name="new"),
}
READS: dict[str, Callable[[], object]] = {
    "first": lambda: first().name,
    "list": lambda: next(iter(Account.objects)).name,
    "get": lambda: Account.objects.get(name="a").name,
    "count": lambda: "a" * Account.objects.count(),
    "count of some": lambda: "a" * Account.objects(name="a").count(),
    "distinct": lambda: Account.objects.distinct("name")[0],
    "aggregate": lambda: next(Account.objects.aggregate([{"$match": {}}]))["name"],
    "in_bulk": lambda: next(iter(Account.objects.in_bulk([first().pk]).values())).name,
    "reload": lambda: first().reload().name,
    "reference": lambda: Account(parent=first().pk).parent and "a",
    "preference": lambda: Account.objects.read_preference(ReadPreference.SECONDARY).first().name,
    "concern": lambda: Account.objects.read_concern({"level": "majority"}).first().name,
    "collection with options": lambda: demanding(Account._get_collection()).find_one()["name"],
    "raw client": lambda: raw().account.find_one()["name"],
    "raw batches": lambda: next(Account._get_collection().find_raw_batches()) and "a",
    "raw command": lambda: raw().command("find", "account")["cursor"]["firstBatch"][0]["name"],
}


def changed(account: Account) -> Account:
    account.balance += 1
    return account


@pytest.mark.parametrize("way", WRITES)
def test_it_writes_in_a_transaction(databases: Settings, way: str) -> None:
    Account(name="a").save()
    with db.transaction():
        WRITES[way]()


@pytest.mark.parametrize("way", READS)
def test_it_reads_in_a_transaction_what_was_written_there(databases: Settings, way: str) -> None:
    with db.transaction():
        Account(name="a").save()
        assert READS[way]() == "a"


def test_a_reference_is_followed_inside(databases: Settings) -> None:
    with db.transaction():
        parent = Account(name="a").save()
        child = Account(name="b", parent=parent).save()
        assert Account.objects.get(pk=child.pk).parent.name == "a"
        assert Account.objects(name="b").select_related()[0].parent.name == "a"


def test_a_collection_taken_before_takes_part(databases: Settings) -> None:
    collections = [demanding(Account._get_collection()), demanding(raw().account)]
    with db.transaction():
        for number, collection in enumerate(collections):
            collection.insert_one({"name": str(number)})
            assert collection.count_documents({}) == number + 1
    assert names() == ["0", "1"]


def test_two_databases_take_part(databases: Settings) -> None:
    with db.transaction("default", "database1"):
        Account(name="a").save()
        Event(number=1).save(write_concern={"w": 1})
        Event._get_collection().insert_one({"number": 2})
        assert (Event.objects.count(), Event.objects(number=1).count()) == (2, 1)
    with up_to_date():
        assert (names(), Event.objects.count()) == (["a"], 2)


def test_what_does_not_know_the_second_database_is_refused(databases: Settings) -> None:
    with (
        pytest.raises(TransactionError, match="'database1' over another client"),
        db.transaction("default", "database1"),
    ):
        PlainEvent(number=1).save()


# Outside


def test_another_alias_keeps_its_concerns(databases: Settings) -> None:
    there = Event._get_collection()
    with db.transaction():
        Account(name="a").save()
        with pytest.raises(OutcomeUnknownError):
            there.with_options(write_concern=NOWHERE).insert_one({})
        assert Event._get_collection().read_preference == ReadPreference.NEAREST
        PlainEvent(number=1).save()
        raw("database1").event.insert_one({"number": 3})
    assert names() == ["a"]


def test_after_the_transaction_the_concerns_are_heard_again(databases: Settings) -> None:
    collection = Account._get_collection().with_options(write_concern=NOWHERE)
    with db.transaction():
        collection.insert_one({"name": "inside"})
    with pytest.raises(OutcomeUnknownError):
        collection.insert_one({"name": "outside"})


def test_a_session_keeps_the_concerns(databases: Settings) -> None:
    with db.session(), pytest.raises(OutcomeUnknownError):
        Account._get_collection().with_options(write_concern=NOWHERE).insert_one({})


@pytest.mark.parametrize("level", ["local", "majority", "snapshot", "linearizable"])
def test_each_read_concern_of_a_uri_works(place: Place, apart: str, level: str) -> None:
    options = f"&readConcernLevel={level}&readPreference=primary&retryWrites=false"
    uri = place.server.uri_for(apart) + options
    with db.connected(Settings(databases={"default": uri})):
        with db.transaction():
            Account(name="a").save()
        insert_raw({"name": "b"})
        with db.session():
            Account(name="c").save()
            assert names() == ["a", "b", "c"]
        assert (Account.objects.count(), Account.objects(name="a").count()) == (3, 1)
        assert registry.connection().client.read_concern.level == level
