"""Validators that models declare: compared with those of the collections, and set."""

from __future__ import annotations

from typing import Any

import mongoengine
import pytest
from bson import ObjectId
from fresh_databases import connected, settings_for
from mongoengine.fields import IntField, StringField
from pymongo import MongoClient
from pymongo.errors import WriteError

from datalayer import db, indexes, schema
from datalayer.connections.registry import database
from datalayer.documents import BusinessDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import AuthenticationError, ConfigurationError, IndexBuildError
from datalayer.settings import Settings

pytestmark = pytest.mark.usefixtures("settings")


def thing(base: Any = BusinessDocument, **meta: Any) -> Any:
    """A model whose documents have a required ``name``."""

    meta = {"collection": "things", "timestamps": False, "validator": "model", **meta}
    name = StringField(required=True)
    return type(base)("Thing", (base,), {"__module__": __name__, "name": name, "meta": meta})


def options() -> dict[str, Any]:
    return dict(database().things.options())


def states(**chosen: Any) -> list[str]:
    return [each.state for each in schema.diff(**chosen)]


def test_a_collection_is_created_with_the_schema_of_its_model() -> None:
    thing()(name="first").save()
    assert options()["validator"]["$jsonSchema"]["required"] == ["name"]
    with pytest.raises(WriteError, match="failed validation"):
        database().things.insert_one({"name": 7})
    assert states() == ["same"]
    assert indexes.diff("default") == []


@pytest.mark.parametrize("base", [BusinessDocument, mongoengine.Document])
def test_a_validator_that_is_missing_is_set(base: Any) -> None:
    model = thing(base)
    database().things.insert_one({"name": "kept"})
    assert states() == ["missing"]
    assert [each.outcome for each in schema.apply([model])] == ["set"]
    assert (states(), indexes.diff("default")) == (["same"], [])
    assert schema.apply([model]) == []


def test_a_collection_that_is_not_there_is_created() -> None:
    assert [each.outcome for each in schema.apply([thing()])] == ["created"]
    assert states() == ["same"]


def test_a_validator_that_stored_documents_break_is_refused() -> None:
    database().things.insert_many([{"_id": 1, "name": "x"}, {"_id": ObjectId(), "name": 7}])
    (refused,) = schema.apply([thing()])
    assert refused.outcome == "refused"
    assert {(each.path, each.rule) for each in refused.findings} == {
        ("_id", "wrong_type"),
        ("name", "wrong_type"),
    }
    assert "validator" not in options()


@pytest.mark.parametrize(
    "meta",
    [{"validation_level": "moderate"}, {"validation_level": "off"}, {"validation_action": "warn"}],
)
def test_one_that_refuses_no_write_to_them_is_set(meta: dict[str, Any]) -> None:
    database().things.insert_one({"name": 7})
    assert [each.outcome for each in schema.apply([thing(**meta)])] == ["set"]


def test_anyway_sets_it_all_the_same() -> None:
    database().things.insert_one({"name": 7})
    assert [each.outcome for each in schema.apply([thing()], anyway=True)] == ["set"]


def test_a_level_that_is_set_on_the_server_alone_counts() -> None:
    database().create_collection("things", validationLevel="moderate", validator={"x": 1})
    database().things.insert_one({"x": 1, "name": 7})
    assert [each.outcome for each in schema.apply([thing()])] == ["set"]
    assert options()["validationLevel"] == "moderate"


def test_a_changed_model_is_told_rule_by_rule() -> None:
    thing(validation_level="moderate")(name="x").save()

    class Thing(BusinessDocument):
        name = StringField(required=True, max_length=3)
        count = IntField()
        meta = {
            "collection": "things",
            "timestamps": False,
            "validator": "model",
            "validation_level": "strict",
        }

    (found,) = schema.diff([Thing])
    assert (found.state, found.pending) == ("different", True)
    assert found.added == ("name: too_long (3)", "count: wrong_type (int, long, null)")
    assert found.removed == ()
    assert [each.name for each in found.options] == ["validator", "validationLevel"]


def test_a_filter_of_its_own_is_a_validator_too() -> None:
    own = {"$jsonSchema": {"required": ["name"]}, "size": {"$gte": 0}}
    model = thing(validator=own)
    database().things.insert_many([{"_id": 1, "name": "x"}, {"_id": 2, "name": "x", "size": 1}])
    (refused,) = schema.apply([model])
    (finding,) = refused.findings
    assert (finding.rule, finding.keyword, finding.ids) == ("not_allowed", "size", (1,))
    database().things.delete_one({"_id": 1})
    assert [each.outcome for each in schema.apply([model])] == ["set"]


def test_a_validator_that_no_model_declares_is_left_alone() -> None:
    model = thing(validator=None)
    database().create_collection("things", validator={"x": 1})
    assert states() == ["undeclared"]
    assert schema.apply([model]) == []
    assert options()["validator"] == {"x": 1}


def test_a_validator_that_is_off_is_told_so() -> None:
    model = thing()
    model(name="x").save()
    database().command("collMod", "things", validationLevel="off")
    (found,) = schema.diff([model])
    assert (found.state, found.level, found.action) == ("same", "off", "error")


def test_indexes_sync_sets_the_schema_of_the_model() -> None:
    model = thing()
    database().create_collection("things")
    assert [each.name for each in indexes.diff("default")[0].options] == ["validator"]
    assert "change_option" in [each.kind for each in indexes.sync("default")]
    assert states(models=[model]) == ["same"]


def test_a_tree_of_classes_has_one_validator() -> None:
    class Animal(BusinessDocument):
        meta = {"collection": "things", "allow_inheritance": True, "validator": "model"}

    class Cat(Animal):
        lives = IntField()

    Cat(lives=9).save()
    Animal().save()
    assert states(models=[Cat]) == ["same"]
    with pytest.raises(WriteError, match="failed validation"):
        database().things.insert_one({"_cls": "Animal", "lives": 9})


@pytest.mark.parametrize(
    ("meta", "wanted"),
    [
        ({"validator": "modle"}, '"model" or a filter'),
        ({"validation_level": "lax"}, '"moderate", "off", "strict"'),
        ({"validation_action": "refuse"}, '"error", "errorAndLog", "warn"'),
    ],
)
def test_a_meta_that_means_nothing_is_one_clear_error(meta: dict[str, Any], wanted: str) -> None:
    with pytest.raises(IndexBuildError, match=f"in its meta .* it takes {wanted}"):
        schema.diff([thing(**meta)])


def test_a_validator_that_the_server_does_not_understand_is_one_clear_error() -> None:
    database().create_collection("things")
    with pytest.raises(ConfigurationError, match="unknown top level operator"):
        schema.apply([thing(validator={"$nonsense": 1})])


def test_a_user_who_may_not_set_it_is_told_so(auth_mongod: EmbeddedMongo) -> None:
    with connected(settings_for(auth_mongod, "default")) as settings:
        model = thing()
        name, client = settings["default"].database, database().client
        client[name].create_collection("things")
        client[name].command("createUser", "reader", pwd="pwd", roles=["read"])
        uri = f"mongodb://reader:pwd@{auth_mongod.hosts[0]}/{name}?directConnection=true"
        reading: Any = {"uri": uri, "auto_index": False, "auto_create": False}
        db.disconnect_all()
        refused = pytest.raises(AuthenticationError, match="setting the validator of 'things'")
        with db.connected(Settings(databases={"default": reading})), refused:
            schema.apply([model])
        with MongoClient[Any](auth_mongod.uri) as root:
            root[name].command("dropAllUsersFromDatabase")
