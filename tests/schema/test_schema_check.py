"""``schema.check``: what in the databases breaks the models' rules."""

from __future__ import annotations

from typing import Any

import mongoengine
import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, settings_for
from mongoengine.fields import (
    DecimalField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    MapField,
    StringField,
)
from observing import commands_sent
from pymongo import MongoClient

from datalayer import db, schema
from datalayer.connections.registry import database
from datalayer.documents import AnalyticsDocument, BusinessDocument, EmbeddedDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    NotConnectedError,
    UnavailableError,
)
from datalayer.schema import CheckProgress, Finding
from datalayer.settings import Settings


def order(base: Any = BusinessDocument) -> Any:
    class Line(EmbeddedDocument):
        sku = StringField(required=True, min_length=2)
        count = IntField(min_value=1)

    class Order(base):  # type: ignore[misc]
        email = StringField(required=True, max_length=20, regex=".*@")
        state = StringField(choices=("new", "paid"))
        total = DecimalField(max_value=100)
        lines = EmbeddedDocumentListField(Line)
        marks = MapField(IntField())
        tags = ListField(StringField(), max_length=2)
        meta = {"collection": "orders", "timestamps": False}

    return Order


def told(found: list[Finding]) -> dict[tuple[str, str], int]:
    return {(each.path, each.rule): each.documents for each in found}


@pytest.mark.usefixtures("settings")
def test_each_broken_rule_is_told_with_the_number_of_documents() -> None:
    model = order()
    model(email="a@b", lines=[{"sku": "aa", "count": 1}], marks={"x": 1}, tags=["t"]).save()
    database().orders.insert_many(
        [
            {},
            {"email": 7},
            {"email": "nobody"},
            {"email": "somebody@somewhere.example"},
            {"email": "a@b", "state": "lost"},
            {"email": "a@b", "total": 101.0},
            {"email": "a@b", "lines": [{"sku": "aa"}, {"sku": "b", "count": 0, "colour": 1}]},
            {"email": "a@b", "lines": [{}], "marks": {"x": "y"}, "tags": ["a", "b", 3]},
            {"email": "a@b", "voucher": None},
        ]
    )
    assert told(schema.check([model])) == {
        ("email", "missing"): 1,
        ("email", "wrong_type"): 1,
        ("email", "wrong_pattern"): 1,
        ("email", "too_long"): 1,
        ("state", "not_a_choice"): 1,
        ("total", "too_large"): 1,
        ("lines[].sku", "too_short"): 1,
        ("lines[].count", "too_small"): 1,
        ("lines[].colour", "unknown_field"): 1,
        ("lines[].sku", "missing"): 1,
        ("marks.*", "wrong_type"): 1,
        ("tags", "too_many"): 1,
        ("tags[]", "wrong_type"): 1,
        ("voucher", "unknown_field"): 1,
    }


@pytest.mark.usefixtures("settings")
def test_a_finding_names_the_place_and_shows_no_contents() -> None:
    database("database1").orders.insert_one({"_id": 5, "email": "a@b", "state": "canary"})
    model = order(AnalyticsDocument)
    model.id = None
    (found,) = [each for each in schema.check([model]) if each.path == "state"]
    assert (found.alias, found.collection, found.ids) == ("database1", "orders", (5,))
    assert found.detail == "new, paid, null"
    assert "canary" not in repr(found)


@pytest.mark.usefixtures("settings")
def test_a_plain_mongoengine_document_is_checked_too() -> None:
    class Note(mongoengine.Document):
        text = StringField(required=True)
        meta = {"collection": "notes"}

    database().notes.insert_many([{}, {"text": "x"}])
    assert told(schema.check([Note])) == {("text", "missing"): 1}


@pytest.mark.usefixtures("settings")
def test_classes_of_one_collection_are_each_held_to_their_own_rules() -> None:
    class Animal(BusinessDocument):
        name = StringField()
        meta = {"collection": "animals", "allow_inheritance": True, "timestamps": False}

    class Cat(Animal):
        lives = IntField(max_value=9)

    database().animals.insert_many(
        [
            {"_cls": "Animal", "lives": 3},
            {"_cls": "Animal.Cat", "lives": 10},
            {"_cls": "Animal.Cat", "lives": 9},
            {"_cls": "Animal.Dog"},
        ]
    )
    assert told(schema.check([Cat])) == {
        ("lives", "unknown_field"): 1,
        ("lives", "too_large"): 1,
        ("_cls", "not_a_choice"): 1,
    }


def test_a_clean_collection_is_read_once(settings: Settings) -> None:
    model = order()
    model(email="a@b").save()
    with commands_sent() as sent:
        db.disconnect_all()
        db.connect_all(settings)
        sent.clear()
        assert schema.check([model]) == []
        assert sent.names == ["listCollections", "find"]


@pytest.mark.usefixtures("settings")
def test_of_very_many_unknown_fields_the_most_frequent_are_named() -> None:
    model = order()
    some = [{"email": "a@b", f"key_{number}": 1} for number in range(60)]
    database().orders.insert_many([*some, {"email": "a@b", "old": 1}, {"email": "a@b", "old": 2}])
    found = told(schema.check([model]))
    assert (len(found), found["old", "unknown_field"]) == (51, 2)
    assert found["*", "unknown_field"] == 11


@pytest.mark.usefixtures("settings")
def test_by_default_all_models_of_the_connected_databases_are_looked_at() -> None:
    order()
    database().orders.insert_one({})
    assert told(schema.check()) == {("email", "missing"): 1}
    assert schema.check(aliases=["database1"]) == []


@pytest.mark.usefixtures("settings")
def test_a_collection_that_is_not_there_breaks_nothing() -> None:
    assert schema.check([order()]) == []


@pytest.mark.usefixtures("settings")
def test_it_tells_how_far_it_is() -> None:
    database().orders.insert_many([{}, {}])
    told_of: list[CheckProgress] = []
    schema.check([order()], on_progress=told_of.append)
    assert told_of == [CheckProgress("default", "orders", 1, 1, 2)]


@pytest.mark.usefixtures("settings")
def test_it_takes_no_part_in_a_transaction_around_it() -> None:
    model = order()
    model(email="a@b").save()
    with db.transaction():
        collection = model._get_collection()
        collection.update_one({}, {"$unset": {"email": 1}})
        assert schema.check([model]) == []


# What can't be checked


@pytest.mark.usefixtures("settings")
def test_a_collection_without_a_model_is_one_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="describes the collection 'visits'"):
        schema.check([order()], collection="visits")


@pytest.mark.usefixtures("settings")
def test_an_embedded_or_abstract_model_is_one_clear_error() -> None:
    class Part(EmbeddedDocument):
        pass

    with pytest.raises(ConfigurationError, match="Part has no collection"):
        schema.check([Part])


@pytest.mark.usefixtures("settings")
def test_an_alias_that_is_not_connected_is_one_clear_error() -> None:
    class Letter(mongoengine.Document):
        meta = {"collection": "letters", "db_alias": "archive"}

    with pytest.raises(NotConnectedError, match="the alias 'archive'"):
        schema.check([Letter])


@pytest.mark.usefixtures("settings")
def test_a_view_is_refused_by_name_and_left_out_otherwise() -> None:
    model = order()
    database().create_collection("orders", viewOn="others", pipeline=[])
    with pytest.raises(ConfigurationError, match="'orders' on 'default' is a view"):
        schema.check([model])
    assert schema.check() == []


@pytest.mark.usefixtures("settings")
def test_a_time_series_is_refused_by_name_and_left_out_otherwise() -> None:
    model = order()
    database().create_collection("orders", timeseries={"timeField": "at"})
    with pytest.raises(ConfigurationError, match="'orders' on 'default' is a time-series"):
        schema.check(collection="orders")
    assert schema.check() == []
    assert model


@pytest.mark.usefixtures("settings")
def test_a_schema_that_the_server_refuses_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unreadable = {"properties": {"email": {"pattern": "("}}}
    monkeypatch.setattr("datalayer.indexes.validators._schemas", [lambda model: unreadable])
    model = order()
    model(email="a@b").save()
    with pytest.raises(ConfigurationError, match="can't look for what the models of 'orders'"):
        schema.check([model])


@pytest.mark.usefixtures("settings")
def test_a_server_that_takes_too_long_ends_at_the_deadline(mongod: EmbeddedMongo) -> None:
    model = order()
    model(email="a@b").save()
    with MongoClient[Any](mongod.uri) as client:
        failing = {"errorCode": 50, "failCommands": ["find"]}
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=failing)
        with pytest.raises(DeadlineExceededError, match="did not get through 'orders'"):
            schema.check([model])


def test_a_server_that_goes_away_is_one_clear_error(mongod: EmbeddedMongo) -> None:
    model = order()
    with FaultyProxy(mongod.hosts[0]) as proxy:
        uri = f"{proxy.uri_for('test_schema_away')}&timeoutMS=500"
        db.disconnect_all()
        with db.connected(Settings(databases={"default": {"uri": uri}})):
            proxy.refuse()
            with pytest.raises(UnavailableError):
                schema.check([model])


def test_a_user_who_may_not_read_is_told_so(auth_mongod: EmbeddedMongo) -> None:
    model = order()
    with connected(settings_for(auth_mongod, "default")) as settings:
        name = settings["default"].database
        database().orders.insert_one({})
        client = database().client
        others = {"resource": {"db": name, "collection": "others"}, "actions": ["find"]}
        listing = {"resource": {"db": name, "collection": ""}, "actions": ["listCollections"]}
        command = client[name].command
        command("createRole", "lister", privileges=[others, listing], roles=[])
        command("createUser", "lister", pwd="pwd", roles=["lister"])
        uri = f"mongodb://lister:pwd@{auth_mongod.hosts[0]}/{name}?directConnection=true"
        reading: Any = {"uri": uri, "auto_index": False, "auto_create": False}
        db.disconnect_all()
        refused = pytest.raises(AuthenticationError, match="find on orders")
        with db.connected(Settings(databases={"default": reading})), refused:
            schema.check([model])
        with MongoClient[Any](auth_mongod.uri) as root:
            root[name].command("dropAllUsersFromDatabase")
            root[name].command("dropAllRolesFromDatabase")
