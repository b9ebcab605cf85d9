"""Indexes are never silently missing: what was dropped, by whomever, is built again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import mongoengine
import pymongo
import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine.fields import DateTimeField, FloatField, IntField, StringField
from pymongo.collection import Collection

from datalayer import db
from datalayer.connections.registry import client, database, registry
from datalayer.documents import AnalyticsDocument, BusinessDocument, utc_now
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import IndexBuildError
from datalayer.settings import Settings


def defined(base: type = BusinessDocument, name: str = "Thing", **attributes: Any) -> Any:
    return type(base)(name, (base,), {"__module__": __name__, **attributes})


def unique_thing() -> Any:
    return defined(code=StringField(unique=True), meta={"collection": "things"})


def series() -> Any:
    return defined(
        AnalyticsDocument,
        "Reading",
        at=DateTimeField(required=True),
        value=FloatField(),
        meta={"collection": "readings", "timestamps": False, "timeseries": {"timeField": "at"}},
    )


def index_names(collection: str = "things") -> list[str]:
    return sorted(database()[collection].index_information())


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of indexes; it says of slow commands what it likes."""
    return [record.message for record in caplog.records if record.name == "datalayer.indexes"]


def look_now(alias: str = "default") -> None:
    """Let the next write look for what others have dropped, as it does every ten seconds."""
    registry.connection(alias).built_indexes.look_again_at = 0.0


def commands_of(alias: str, call: Callable[[], Any]) -> int:
    monitor = registry.connection(alias).monitors.commands
    before = monitor.traffic().sent
    call()
    return monitor.traffic().sent - before


# Over a client of datalayer

DROPS: dict[str, Callable[[Any], Any]] = {
    "the model": lambda model: model.drop_collection(),
    "the model's collection": lambda model: model._get_collection().drop(),
    "the model's database": lambda model: model._get_db().drop_collection("things"),
    "a raw collection": lambda model: database()["things"].drop(),
    "a command": lambda model: database().command("drop", "things"),
    "the client": lambda model: client().drop_database(database().name),
    "the service's client": lambda model: db.database.client.drop_database(db.database.name),
    "the client of the model": lambda model: model._get_db().client.drop_database(database().name),
    "MongoEngine": lambda model: mongoengine.get_connection().drop_database(database().name),
    "another alias's client": lambda model: client("database1").drop_database(database().name),
    "a new name": lambda model: database()["things"].rename("others"),
    "another in its place": lambda model: (
        database()["others"].insert_one({}),
        database()["others"].rename("things", dropTarget=True),
    ),
    "capping": lambda model: database().command("convertToCapped", "things", size=4096),
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_what_is_dropped_over_our_client_is_built_before_the_next_write(
    settings: Settings, drop: Callable[[Any], Any]
) -> None:
    thing = unique_thing()
    thing(code="a").save()
    drop(thing)
    thing(code="b").save()
    assert index_names() == ["_id_", "code_1"]
    with pytest.raises(mongoengine.NotUniqueError):
        thing(code="b").save()


WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "a document that was loaded": lambda model, document: document.modify(code="b"),
    "a queryset made before": lambda model, document: document._held.update(code="b"),
    "an upsert": lambda model, document: model.objects(code="z").update_one(
        upsert=True, set__code="z"
    ),
    "bulk": lambda model, document: model.objects.insert([model(code="x"), model(code="y")]),
    "a collection held": lambda model, document: document._collection_held.insert_one({}),
    "options of it": lambda model, document: document._collection_held.with_options().insert_one(
        {}
    ),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_was_made_before_the_drop_builds_too(
    settings: Settings, write: Callable[[Any, Any], Any]
) -> None:
    thing = defined(
        code=StringField(unique=True), _held=None, _collection_held=None,
        meta={"collection": "things"},
    )  # fmt: skip
    document = thing(code="a").save()
    thing._held, thing._collection_held = thing.objects, thing._get_collection()
    client().drop_database(database().name)
    write(thing, document)
    assert index_names() == ["_id_", "code_1"]


def test_the_models_of_other_collections_are_looked_at_anew_only_where_theirs_went(
    settings: Settings,
) -> None:
    thing = unique_thing()
    other = defined(name="Other", code=StringField(unique=True))
    thing(code="a").save()
    other(code="a").save()
    database()["other"].drop()
    assert commands_of("default", lambda: thing(code="b").save()) == 1


def test_a_dropped_time_series_is_one_again(settings: Settings) -> None:
    reading = series()
    for drop in (
        lambda: client("database1").drop_database(database("database1").name),
        database("database1")["readings"].drop,
        lambda: None,
    ):
        reading(at=utc_now(), value=1.0).save()
        assert "timeseries" in database("database1")["readings"].options()
        drop()


def test_a_transaction_builds_before_it_begins(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    client().drop_database(database().name)
    with db.transaction():
        thing(code="b").save()
    assert index_names() == ["_id_", "code_1"]


def test_a_late_subclass_is_built_before_a_transaction(settings: Settings) -> None:
    root = defined(name="Root", meta={"allow_inheritance": True})
    root().save()
    branch = defined(root, "Branch", b=IntField(), meta={"indexes": ["b"]})
    with db.transaction():
        branch(b=1).save()
    assert "_cls_1_b_1" in index_names("root")


def test_a_model_sent_elsewhere_is_built_where_another_connection_carries_the_transaction(
    settings: Settings,
) -> None:
    thing = unique_thing()
    with db.transaction("default", "database1"), db.using(default="database1"):
        thing(code="a").save()
    assert sorted(database("database1")["things"].index_information()) == ["_id_", "code_1"]


def test_a_transaction_does_not_wait_for_a_build_that_waits_for_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalayer.documents.model_collection._SECONDS_IN_A_TRANSACTION", 0.3)
    thing = unique_thing()
    database("database1")["things"].insert_one({})
    with db.using(default="database1"), db.transaction("database1"):
        thing.objects.first()
        with pytest.raises(IndexBuildError, match="before the transaction"):
            thing(code="a").save()


def test_a_build_that_a_drop_overtakes_is_done_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = unique_thing()
    original = Collection.create_indexes
    overtaken: list[int] = []

    def drop_afterwards(self: Any, *args: Any, **kwargs: Any) -> Any:
        built = original(self, *args, **kwargs)
        if not overtaken:
            overtaken.append(1)
            thread = threading.Thread(target=database()["things"].drop)
            thread.start()
            thread.join(60)
        return built

    monkeypatch.setattr(Collection, "create_indexes", drop_afterwards)
    thing(code="a").save()
    assert overtaken == [1]
    assert index_names() == ["_id_", "code_1"]


def test_duplicates_that_came_meanwhile_are_told(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    database()["things"].drop()
    database()["things"].insert_many([{"code": 1}, {"code": 1}])
    with pytest.raises(IndexBuildError, match="code_1"):
        thing(code="b").save()


def test_a_drop_that_fails_does_no_harm(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    with pytest.raises(pymongo.errors.OperationFailure):
        database().command("renameCollection", "nowhere.things", to="nowhere.else")
    thing(code="b").save()
    assert thing.objects.count() == 2


# Behind the models' back


def others(settings: Settings) -> pymongo.MongoClient[Any]:
    return pymongo.MongoClient(settings["default"].uri)


BEHIND: dict[str, Callable[[Any], Any]] = {
    "the database": lambda there: there.client.drop_database(there.name),
    "the collection": lambda there: there["things"].drop(),
    "and made anew": lambda there: (there["things"].drop(), there["things"].insert_one({})),
}


@pytest.mark.parametrize("drop", BEHIND.values(), ids=BEHIND)
def test_what_another_client_dropped_is_built_at_the_next_look(
    settings: Settings, drop: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    thing = unique_thing()
    thing(code="a").save()
    with others(settings) as theirs:
        drop(theirs[database().name])
    look_now()
    with caplog.at_level(logging.WARNING, "datalayer.indexes"):
        thing(code="a").save()
    assert index_names() == ["_id_", "code_1"]
    assert told(caplog) == [
        "things on default was dropped or replaced by another client: what it lacks of its "
        "indexes is built again before the next write"
    ]


def test_a_time_series_that_another_client_dropped_is_one_again(settings: Settings) -> None:
    reading = series()
    reading(at=utc_now(), value=1.0).save()
    with others(settings) as theirs:
        theirs[database("database1").name]["readings"].drop()
    look_now("database1")
    reading(at=utc_now(), value=1.0).save()
    assert "timeseries" in database("database1")["readings"].options()


def test_a_transaction_looks_before_it_begins(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    with others(settings) as theirs:
        theirs.drop_database(database().name)
    look_now()
    with db.transaction():
        thing(code="a").save()
    assert index_names() == ["_id_", "code_1"]


def test_a_look_finds_what_stands(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    thing, reading = unique_thing(), series()
    thing(code="a").save()
    reading(at=utc_now()).save()
    for alias, write in (
        ("default", lambda: thing(code="b").save()),
        ("database1", lambda: reading(at=utc_now()).save()),
    ):
        look_now(alias)
        assert commands_of(alias, write) == 2  # the look and the write
        assert commands_of(alias, thing.objects.count) <= 1
    assert commands_of("default", lambda: thing(code="c").save()) == 1
    assert told(caplog) == []


def test_what_was_there_at_connect_is_known_too(mongod: EmbeddedMongo) -> None:
    with model_registry():
        thing = unique_thing()
        made = settings_for(mongod)
        db.disconnect_all()
        with connected(made):
            thing(code="a").save()
            with others(made) as theirs:
                theirs.drop_database(database().name)
            look_now()
            thing(code="a").save()
            assert index_names() == ["_id_", "code_1"]


def test_a_look_that_fails_leaves_the_write_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_args: Any, **_kwargs: Any) -> None:
        raise pymongo.errors.NetworkTimeout("slow")

    thing = unique_thing()
    thing(code="a").save()
    monkeypatch.setattr("pymongo.database.Database.list_collections", lose)
    look_now()
    thing(code="b").save()
    assert thing.objects.count() == 2


def test_reading_never_looks(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    look_now()
    assert commands_of("default", lambda: list(thing.objects)) == 1
    assert commands_of("default", thing.objects.delete) == 1


# In memory


@pytest.mark.parametrize(
    "drop",
    [
        lambda model: model.drop_collection(),
        lambda model: database()["things"].drop(),
        lambda model: database().drop_collection("things"),
        lambda model: client().drop_database(database().name),
    ],
    ids=["model", "collection", "drop_collection", "drop_database"],
)
def test_mongomock_has_its_indexes_again_too(drop: Callable[[Any], Any]) -> None:
    db.disconnect_all()
    with model_registry():
        thing = unique_thing()
        with connected_in_memory():
            for _ in range(2):
                thing(code="a").save()
                with pytest.raises(mongoengine.NotUniqueError):
                    thing(code="a").save()
                drop(thing)


def connected_in_memory() -> Any:
    return db.connected(Settings(databases={"default": "mongomock://dropped"}))
