"""What is refused before anything is written, and why."""

from __future__ import annotations

from typing import Any

import pytest
from mongoengine import IntField, StringField
from moving import Databases, messages, plan
from pymongo import MongoClient

from datalayer import Settings, db, transfer
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, DataLayerError, TransferError
from datalayer.transfer import Plan
from datalayer.transfer.planning.checks import lacks, room_for

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown source": ({"source": "nowhere"}, "no connected database has the alias 'nowhere'"),
    "unknown target": ({"target": "nowhere"}, "no connected database has the alias 'nowhere'"),
    "unknown model": ({"models": ["Nothing"]}, "there is no model 'Nothing'"),
    "unknown collection": ({"collections": ["nothing"]}, "has no collection 'nothing'"),
    "nothing named": ({"collections": []}, "name the models or the collections"),
    "filter is no JSON": ({"filter": "{number: }"}, "the filter is no Extended JSON"),
    "filter is a list": ({"filter": "[]"}, "the filter is no JSON object"),
    "filter of unknown operators": ({"filter": {"a": {"$no": 1}}}, "refuses the filter"),
    "source is target": ({"target": "default"}, "is the same one"),
    "bad name": ({"name": "a/b"}, "a transfer's name has"),
    "bad conflicts": ({"conflicts": "ask"}, "conflicts is fail, skip or replace"),
    "bad method": ({"method": "fly"}, "the method is merge or copy"),
    "merge between clusters": ({"method": "merge"}, "only within a cluster"),
    "bad batch size": ({"batch_size": 0}, "the batch size is from 1"),
    "bad rate": ({"rate": 0}, "rate is more than 0"),
    "mapped id": ({"fields": {"_id": "number"}}, "documents keep their _id"),
    "mapped part": ({"fields": {"a.b": "number"}}, "only whole fields"),
    "no transform": ({"transform": "moving:nothing"}, "can't be imported"),
    "transform without module": ({"transform": "shouted"}, "module:function"),
    "inverse alone": ({"inverse": "moving:whispered"}, "an inverse needs a transform"),
    "the journal itself": ({"collections": ["datalayer_transfers"]}, "belongs to the journal"),
    "two into one": (
        {"collections": {"messages": "a", "notes": "a"}},
        "two collections can't go into the same one",
    ),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_what_is_wrong_in_itself_is_a_configuration_error(databases: Databases, case: str) -> None:
    databases.fill(3)
    before = databases.state()
    options, says = WRONG[case]
    with pytest.raises(ConfigurationError, match=says):
        plan(**options)
    assert databases.state() == before


def view(database: Any) -> None:
    database.create_collection("messages", viewOn="others", pipeline=[])


def capped(database: Any) -> None:
    database.create_collection("messages", capped=True, size=4096)


def other_collation(database: Any) -> None:
    database.create_collection("messages", collation={"locale": "de"})


def other_index(database: Any) -> None:
    database.messages.create_index("number", unique=True)


def data(database: Any) -> None:
    database.messages.insert_many(messages(1, 500))


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (view, "is a view"),
        (capped, r"of another kind than the source \(capped\)"),
        (other_collation, r"of another kind than the source \(collation\)"),
        (other_index, "the index 'number_1' of 'messages' on 'archive' differs"),
        (data, "holds documents already"),
    ],
)
def test_a_target_in_the_way_is_a_transfer_error(
    databases: Databases, prepare: Any, says: str
) -> None:
    databases.fill(3)
    databases["default"].messages.create_index("number")
    prepare(databases["archive"])
    with pytest.raises(TransferError, match=says):
        plan()
    assert databases.journaled() == []


def test_a_target_that_has_got_data_since_is_refused_by_the_run(databases: Databases) -> None:
    databases.fill(3)
    made = plan()
    data(databases["archive"])
    with pytest.raises(TransferError, match="holds documents already"):
        transfer.run(made)
    assert databases.journaled() == []


@pytest.mark.parametrize(
    "options", [{"capped": True, "size": 4096}, {"timeseries": {"timeField": "at"}}]
)
def test_collections_that_delete_no_documents_are_copied_only(
    databases: Databases, options: dict[str, Any]
) -> None:
    databases["default"].create_collection("messages", **options)
    with pytest.raises(TransferError, match="copy it instead of moving"):
        plan(move=True)


def test_planning_writes_nothing(databases: Databases) -> None:
    databases.fill(30)
    before = databases.state()
    made = plan(move=True)
    assert (made.count, made.parts[0].size_bytes > 30 * 100) == (30, True)
    assert databases.state() == before
    assert databases.journaled() == []


def test_a_plan_comes_back_from_the_journal_as_it_was(databases: Databases) -> None:
    databases.fill(1)
    databases["default"].messages.create_index([("text", -1), ("number", 1)])
    made = plan(filter=messages(1)[0] | {"$or": [{"a": {"$type": "date"}}]}, constants={"b": 2.0})
    again = Plan.from_json(made.to_json())
    assert (again, again.checksum) == (made, made.checksum)
    assert plan(rate=5).checksum != plan().checksum


def test_a_model_brings_its_collection_and_alias(databases: Databases) -> None:
    class Animal(Document):
        legs = IntField()
        meta = {"allow_inheritance": True, "collection": "animals"}

    class Bird(Animal):
        song = StringField()

    Animal(legs=4).save()
    Bird(legs=2).save()
    made = transfer.plan("t", models=[Animal], target="archive")
    assert (made.source, made.parts[0].source, made.count) == ("default", "animals", 2)
    birds = transfer.plan("t", models=["Animal.Bird"], target="archive")
    assert (birds.parts[0].source, birds.count) == ("animals", 1)


def test_a_user_without_privileges_is_told_before_anything_is_written(
    auth_mongod: EmbeddedMongo, databases: Databases
) -> None:
    databases.fill(3)
    address = auth_mongod.uri_for("secured").partition("@")[2].partition("?")[0]
    with MongoClient(auth_mongod.uri) as root:
        root.secured.command(
            "createUser", "reader", pwd="secret", roles=[{"role": "read", "db": "secured"}]
        )
        query = auth_mongod.uri.partition("?")[2].replace("authSource=admin", "authSource=secured")
    uri = f"mongodb://reader:secret@{address}?{query}"
    every = {alias: databases.settings[alias].uri for alias in databases.settings}
    db.disconnect_all()
    options = {"uri": uri, "auto_index": False, "auto_create": False}
    try:
        db.connect_all(Settings(databases={**every, "secured": options}))
        with pytest.raises(TransferError, match=r"the user may not .*insert.* on 'secured'"):
            plan(target="secured")
    finally:
        db.disconnect_all()


def test_privileges_are_read_as_the_server_gives_them() -> None:
    everywhere = {"resource": {"db": "", "collection": ""}, "actions": ["find"]}
    here = {"resource": {"db": "a", "collection": "b"}, "actions": ["insert"]}
    assert lacks([everywhere, here], "a", "b", {"find", "insert"}) == set()
    assert lacks([everywhere, here], "a", "c", {"find", "insert"}) == {"insert"}
    assert (
        lacks([{"resource": {"anyResource": True}, "actions": ["anyAction"]}], "a", "b", {"x"})
        == set()
    )


def test_documents_need_a_tenth_more_room_than_they_take() -> None:
    assert room_for(1000, 1101)
    assert not room_for(1000, 1099)


def test_inside_a_transaction_it_is_refused(databases: Databases) -> None:
    databases.fill(3)
    made = plan()
    with db.transaction(), pytest.raises(DataLayerError, match="inside a transaction"):
        transfer.run(made)
