"""Collections and indexes: built at connect or before the first write, compared, synchronised."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import mongoengine
import pytest
from bson import SON
from fresh_databases import connected, drop, model_registry, settings_for
from mongoengine.fields import DateTimeField, FloatField, IntField, StringField
from observing import SentCommands, commands_sent
from pymongo import IndexModel
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, OperationFailure

from datalayer import db, indexes, models
from datalayer.connections.registry import client, database, registry
from datalayer.documents import AnalyticsDocument, BusinessDocument, Document, utc_now
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import IndexBuildError, NotConnectedError, UnavailableError
from datalayer.indexes import Action, Index, compare
from datalayer.settings import Settings

PACKAGE_MODELS = tuple(
    each for name in models.__all__ if isinstance(each := getattr(models, name), type)
)


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    with model_registry():
        yield


@pytest.fixture(scope="module")
def seen_commands() -> Iterator[SentCommands]:
    with commands_sent() as sent:
        yield sent


@pytest.fixture(scope="module")
def shared(seen_commands: SentCommands, shared: Settings) -> Settings:
    """Connected where all commands are seen."""
    return shared


@pytest.fixture
def commands(settings: Settings, seen_commands: SentCommands) -> SentCommands:
    """The commands that the test sends."""
    seen_commands.clear()
    return seen_commands


def index_names(collection: str, alias: str = "default") -> list[str]:
    return sorted(database(alias)[collection].index_information())


def defined(base: type = BusinessDocument, name: str = "Thing", **attributes: Any) -> Any:
    return type(base)(name, (base,), {"__module__": __name__, **attributes})


def unique_thing(name: str = "Thing") -> Any:
    return defined(name=name, code=StringField(unique=True), meta={"collection": "things"})


def in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    """What each thread returned or raised; all start together."""
    start = threading.Barrier(count)
    outcomes: list[Any] = [None] * count

    def run(number: int) -> None:
        start.wait(60)
        try:
            outcomes[number] = call(number)
        except Exception as exc:
            outcomes[number] = exc

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


# Which models


def test_models_are_listed_by_alias_and_name(settings: Settings) -> None:
    before = set(indexes.models_on("archive"))
    beta = defined(Document, "Beta", meta={"db_alias": "archive"})
    alpha = defined(Document, "Alpha", meta={"db_alias": "archive"})
    defined(Document, "Abstract", meta={"db_alias": "archive", "abstract": True})
    assert before == set()
    assert indexes.models_on("archive") == [alpha, beta]


def test_a_tree_of_classes_is_listed_once() -> None:
    root = defined(Document, "Root", meta={"db_alias": "archive", "allow_inheritance": True})
    defined(root, "Branch")
    assert indexes.models_on("archive") == [root]


def test_plain_mongoengine_documents_count_too() -> None:
    class Older(mongoengine.Document):
        name = StringField(unique=True)
        meta = {"db_alias": "archive"}

    assert indexes.models_on("archive") == [Older]


# At connect


def test_connecting_builds_collections_and_indexes(mongod: EmbeddedMongo) -> None:
    unique_thing()
    with connected(settings_for(mongod)):
        assert index_names("things") == ["_id_", "code_1"]
        assert database()["things"].index_information()["code_1"]["unique"] is True


def test_connecting_creates_a_collection_without_indexes(mongod: EmbeddedMongo) -> None:
    defined(name="Bare", meta={"collection": "bare"})
    with connected(settings_for(mongod)):
        assert "bare" in database().list_collection_names()


def test_nothing_is_built_when_both_are_switched_off(mongod: EmbeddedMongo) -> None:
    thing = unique_thing()
    with connected(settings_for(mongod, auto_index=False, auto_create=False)):
        assert "things" not in database().list_collection_names()
        thing(code="a").save()
        assert index_names("things") == ["_id_"]


def test_a_model_can_opt_out_of_automatic_indexes(mongod: EmbeddedMongo) -> None:
    defined(
        name="Manual",
        code=StringField(unique=True),
        meta={"collection": "manual", "auto_index": False},
    )
    with connected(settings_for(mongod)):
        assert index_names("manual") == ["_id_"]


def test_subclasses_bring_their_indexes_to_the_shared_collection(mongod: EmbeddedMongo) -> None:
    root = defined(name="Root", a=IntField(), meta={"allow_inheritance": True, "indexes": ["a"]})
    defined(root, "Branch", b=IntField(), meta={"indexes": ["b"]})
    with connected(settings_for(mongod)):
        assert index_names("root") == ["_cls_1_a_1", "_cls_1_b_1", "_id_"]


def test_inheritance_without_indexes_gets_one_on_the_class(mongod: EmbeddedMongo) -> None:
    defined(name="Root", meta={"allow_inheritance": True})
    with connected(settings_for(mongod)):
        assert index_names("root") == ["_cls_1", "_id_"]


def test_duplicates_fail_the_connect_of_a_required_database(mongod: EmbeddedMongo) -> None:
    settings = settings_for(mongod)
    with connected(settings):
        database()["things"].insert_many([{"code": "same-secret"}, {"code": "same-secret"}])
        unique_thing()
        db.disconnect_all()
        with pytest.raises(IndexBuildError) as caught:
            db.connect_all(settings)
    assert (caught.value.alias, caught.value.collection) == ("default", "things")
    assert caught.value.index == "code_1"
    assert "code" in str(caught.value)
    assert "duplicates" in str(caught.value)


def test_no_value_of_a_document_appears_in_the_error_or_its_chain(settings: Settings) -> None:
    database()["things"].insert_many([{"code": "same-secret"}, {"code": "same-secret"}])
    thing = unique_thing()
    with pytest.raises(IndexBuildError) as caught:
        thing(code="x").save()
    shown: list[BaseException] = [caught.value]
    while (cause := shown[-1].__cause__) is not None:
        shown.append(cause)
    assert [str(each) for each in shown if "same-secret" in str(each)] == []
    assert caught.value.__suppress_context__ is True


def test_one_failure_does_not_keep_the_others_from_being_built(settings: Settings) -> None:
    database()["things"].insert_many([{"code": 1}, {"code": 1}])
    unique_thing()
    zebra = defined(name="Zebra", code=StringField(unique=True))
    with pytest.raises(IndexBuildError):
        indexes.build("default")
    assert index_names("zebra") == ["_id_", "code_1"]
    zebra(code="a").save()


def test_two_models_that_disagree_on_an_index_are_told_so(settings: Settings) -> None:
    defined(name="One", code=StringField(unique=True), meta={"collection": "shared"})
    defined(name="Two", code=StringField(), meta={"collection": "shared", "indexes": ["code"]})
    with pytest.raises(IndexBuildError, match="different ways"):
        indexes.build("default")


def test_processes_may_build_at_the_same_time(mongod: EmbeddedMongo) -> None:
    settings = settings_for(mongod)
    program = f"""
import sys
from datalayer import db
from datalayer.settings import Settings
from datalayer import models
sys.stdin.readline()
db.connect_all(Settings(databases={{
    "default": {settings["default"].uri!r}, "database1": {settings["database1"].uri!r}}}))
db.disconnect_all()
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program],
            stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        outcomes = [(worker.communicate(timeout=60)[1], worker.returncode) for worker in workers]
        assert outcomes == [("", 0)] * 2
    finally:
        for worker in workers:
            worker.kill()
            worker.wait(60)
        drop(settings)


# A model first seen after connect


def test_a_late_model_gets_its_indexes_before_its_first_write(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    with pytest.raises(mongoengine.NotUniqueError):
        thing(code="a").save()


def test_reading_a_late_model_builds_nothing(commands: SentCommands) -> None:
    thing = unique_thing()
    assert list(thing.objects(code="a")) == []
    assert thing.objects.count() == 0
    assert thing.objects.delete() == 0
    assert set(commands.names) <= {"find", "aggregate", "delete", "count"}


def test_defining_a_late_model_sends_nothing(commands: SentCommands) -> None:
    thing = unique_thing()
    thing._get_collection()
    assert commands.names == []


WRITES: dict[str, Callable[[Any], Any]] = {
    "save": lambda model: model(code="a").save(),
    "create": lambda model: model.objects.create(code="a"),
    "insert": lambda model: model.objects.insert([model(code="a")]),
    "update": lambda model: model.objects(code="a").update(code="b"),
    "upsert": lambda model: model.objects(code="a").update_one(upsert=True, code="b"),
    "modify": lambda model: model.objects(code="a").modify(code="b"),
    "no_cache": lambda model: model.objects.no_cache().update(code="b"),
    "collection": lambda model: model._get_collection().insert_one({"code": "a"}),
    "options": lambda model: model._get_collection().with_options().insert_one({"code": "a"}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_way_of_writing_builds_first(
    settings: Settings, write: Callable[[Any], Any]
) -> None:
    write(unique_thing())
    assert index_names("things") == ["_id_", "code_1"]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_queryset_class_of_ones_own_is_covered(
    settings: Settings, write: Callable[[Any], Any]
) -> None:
    class Plain(mongoengine.QuerySet):
        pass

    meta = {"collection": "things", "queryset_class": Plain}
    write(defined(code=StringField(unique=True), meta=meta))
    assert index_names("things") == ["_id_", "code_1"]


def test_threads_that_write_first_share_one_build(commands: SentCommands) -> None:
    thing = unique_thing()
    saved = in_threads(8, lambda number: thing(code=str(number)).save())
    assert [type(each) for each in saved] == [thing] * 8
    assert commands.names.count("createIndexes") == 1
    assert thing.objects.count() == 8


def test_relatives_that_are_written_at_once_all_get_their_indexes(settings: Settings) -> None:
    root = defined(name="Root", meta={"allow_inheritance": True})
    root().save()
    branches = [
        defined(
            root,
            f"B{number}",
            code=IntField(),
            meta={"indexes": [f"field_{number}"]},
            **{f"field_{number}": IntField()},
        )
        for number in range(8)
    ]
    saved = in_threads(8, lambda number: branches[number](code=number).save())
    assert [type(each) for each in saved] == branches
    wanted = [f"_cls_1_field_{number}_1" for number in range(8)]
    assert index_names("root") == sorted(["_cls_1", "_id_", *wanted])


def test_later_writes_ask_nothing_more(commands: SentCommands) -> None:
    thing = unique_thing()
    thing(code="a").save()
    commands.clear()
    thing(code="b").save()
    assert commands.names == ["insert"]


def test_a_failure_surfaces_at_every_write_until_it_is_healed(settings: Settings) -> None:
    things = database()["things"]
    things.insert_many([{"code": "a"}, {"code": "a"}])
    thing = unique_thing()
    for _ in range(2):
        with pytest.raises(IndexBuildError):
            thing(code="b").save()
    assert things.count_documents({}) == 2
    things.delete_one({"code": "a"})
    thing(code="b").save()
    assert index_names("things") == ["_id_", "code_1"]


def test_duplicates_can_be_deleted_through_the_model(settings: Settings) -> None:
    database()["things"].insert_many([{"code": "a"}, {"code": "a"}])
    thing = unique_thing()
    thing.objects.first().delete()
    thing(code="b").save()
    assert thing.objects.count() == 2


def test_every_thread_sees_the_failure(settings: Settings) -> None:
    database()["things"].insert_many([{"code": "a"}, {"code": "a"}])
    thing = unique_thing()
    outcomes = in_threads(8, lambda number: thing(code=str(number)).save())
    assert [type(each) for each in outcomes] == [IndexBuildError] * 8


def test_a_late_subclass_brings_its_indexes(settings: Settings) -> None:
    root = defined(name="Root", meta={"allow_inheritance": True})
    root().save()
    branch = defined(root, "Branch", b=IntField(), meta={"indexes": ["b"]})
    branch(b=1).save()
    assert index_names("root") == ["_cls_1", "_cls_1_b_1", "_id_"]


def test_a_dropped_collection_is_built_again(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    thing.drop_collection()
    thing(code="a").save()
    assert index_names("things") == ["_id_", "code_1"]


def test_a_new_connection_builds_again(mongod: EmbeddedMongo) -> None:
    thing = unique_thing()
    with connected(settings_for(mongod)):
        thing(code="a").save()
    with connected(settings_for(mongod)):
        thing(code="a").save()
        assert index_names("things") == ["_id_", "code_1"]


def test_another_database_gets_the_indexes_too(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    with mongoengine.context_managers.switch_db(thing, "database1") as there:
        there(code="a").save()
    assert index_names("things", "database1") == ["_id_", "code_1"]


def test_another_collection_gets_the_indexes_too(settings: Settings) -> None:
    thing = unique_thing()
    thing(code="a").save()
    with mongoengine.context_managers.switch_collection(thing, "archived") as there:
        there(code="a").save()
    assert index_names("archived") == ["_id_", "code_1"]


def test_an_index_built_within_a_transaction_outlives_its_rollback(settings: Settings) -> None:
    thing = unique_thing()
    with client().start_session() as session, session.bind(end_session=False):
        session.start_transaction()
        thing(code="a").save()
        session.abort_transaction()
    assert index_names("things") == ["_id_", "code_1"]
    assert thing.objects.count() == 0


def test_without_a_connection_a_write_says_so() -> None:
    db.disconnect_all()
    with pytest.raises(NotConnectedError, match="connect_all"):
        unique_thing()(code="a").save()


# Special collections


def test_a_capped_collection_is_one(settings: Settings) -> None:
    capped = defined(name="Capped", meta={"max_documents": 10, "max_size": 1000})
    capped().save()
    options = database()["capped"].options()
    assert (options["capped"], options["max"], options["size"]) == (True, 10, 1024)


def timeseries() -> Any:
    return defined(
        AnalyticsDocument,
        "Reading",
        at=DateTimeField(required=True),
        value=FloatField(),
        meta={
            "collection": "readings",
            "timestamps": False,
            "timeseries": {"timeField": "at", "expireAfterSeconds": 3600},
        },
    )


def test_a_time_series_keeps_its_expiry_when_it_is_dropped_and_made_again(
    settings: Settings,
) -> None:
    reading = timeseries()
    expiries = []
    for _ in range(2):
        reading(at=utc_now(), value=1.0).save()
        expiries.append(database("database1")["readings"].options()["expireAfterSeconds"])
        reading.drop_collection()
    assert expiries == [3600, 3600]


def test_a_plain_collection_in_the_place_of_a_time_series_is_refused(settings: Settings) -> None:
    database("database1").create_collection("readings")
    with pytest.raises(IndexBuildError, match="another kind"):
        timeseries()(at=utc_now()).save()


@pytest.mark.parametrize("auto_index", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_a_special_collection_is_never_made_a_plain_one(
    mongod: EmbeddedMongo, auto_index: bool, late: bool
) -> None:
    early = None if late else timeseries()
    settings = settings_for(mongod, auto_create=False, auto_index=auto_index, required=False)
    with connected(settings):
        reading = early or timeseries()
        with pytest.raises(IndexBuildError, match="does not exist"):
            reading(at=utc_now()).save()
        assert "readings" not in database("database1").list_collection_names()


def test_a_validator_and_a_collation_are_set(settings: Settings) -> None:
    strict = defined(
        name="Strict",
        name_=StringField(db_field="name"),
        meta={
            "collection": "strict",
            "validator": {"name": {"$type": "string"}},
            "collation": {"locale": "en", "strength": 2},
        },
    )
    strict(name_="a").save()
    options = database()["strict"].options()
    assert options["validator"] == {"name": {"$type": "string"}}
    assert options["collation"]["strength"] == 2
    assert indexes.diff("default") == []


# Comparing, without a server


def declared(*keys: Any, **options: Any) -> Index:
    return Index.of(IndexModel(list(keys), **options).document)


def found(**document: Any) -> Index:
    return Index.of({"v": 2, **document})


EQUAL: dict[str, tuple[Index, Index]] = {
    "plain": (declared(("a", 1)), found(key=SON(a=1), name="a_1")),
    "numbers as floats": (declared(("a", -1)), found(key=SON(a=-1.0), name="a_-1")),
    "defaults spelt out": (
        declared(("a", 1), unique=False, sparse=False),
        found(key=SON(a=1), name="a_1", background=True),
    ),
    "ttl": (
        declared(("a", 1), expireAfterSeconds=60),
        found(key=SON(a=1), name="a_1", expireAfterSeconds=60.0),
    ),
    "ttl of zero": (
        declared(("a", 1), expireAfterSeconds=0),
        found(key=SON(a=1), name="a_1", expireAfterSeconds=0),
    ),
    "text": (
        declared(("a", "text"), ("b", "text"), name="t", weights={"a": 5}),
        found(
            key=SON(_fts="text", _ftsx=1), name="t", weights={"a": 5, "b": 1},
            default_language="english", language_override="language", textIndexVersion=3,
        ),
    ),
    "text after a plain key": (
        declared(("s", 1), ("a", "text"), name="t"),
        found(
            key=SON(s=1, _fts="text", _ftsx=1), name="t", weights={"a": 1},
            default_language="english", language_override="language", textIndexVersion=3,
        ),
    ),
    "geo": (
        declared(("p", "2dsphere")),
        found(key=SON(p="2dsphere"), name="p_2dsphere", **{"2dsphereIndexVersion": 3}),
    ),
    "collation": (
        declared(("a", 1), collation={"locale": "en", "strength": 2}),
        found(
            key=SON(a=1), name="a_1",
            collation={
                "locale": "en", "caseLevel": False, "caseFirst": "off", "strength": 2,
                "numericOrdering": False, "alternate": "non-ignorable", "maxVariable": "punct",
                "normalization": False, "backwards": False, "version": "57.1",
            },
        ),
    ),
    "another name": (declared(("a", 1), name="mine"), found(key=SON(a=1), name="a_1")),
}  # fmt: skip


@pytest.mark.parametrize(("expected", "actual"), EQUAL.values(), ids=EQUAL)
def test_equal_indexes_are_no_difference(expected: Index, actual: Index) -> None:
    assert compare([expected], [actual]) == ((), (), ())


DIFFERENT: dict[str, tuple[Index, Index]] = {
    "direction": (declared(("a", 1), name="x"), found(key=SON(a=-1), name="x")),
    "order of keys": (
        declared(("a", 1), ("b", 1), name="x"),
        found(key=SON(b=1, a=1), name="x"),
    ),
    "unique": (declared(("a", 1), unique=True), found(key=SON(a=1), name="a_1")),
    "sparse": (declared(("a", 1)), found(key=SON(a=1), name="a_1", sparse=True)),
    "partial": (
        declared(("a", 1), partialFilterExpression={"a": {"$gt": 1}}),
        found(key=SON(a=1), name="a_1", partialFilterExpression={"a": {"$gt": 2}}),
    ),
    "ttl": (
        declared(("a", 1), expireAfterSeconds=60),
        found(key=SON(a=1), name="a_1", expireAfterSeconds=61),
    ),
    "collation": (
        declared(("a", 1), collation={"locale": "en", "strength": 2}),
        found(key=SON(a=1), name="a_1", collation={"locale": "en", "strength": 3}),
    ),
    "weights": (
        declared(("a", "text"), name="t", weights={"a": 5}),
        found(key=SON(_fts="text", _ftsx=1), name="t", weights={"a": 1}),
    ),
    "same keys under another name": (
        declared(("a", 1), unique=True, name="mine"),
        found(key=SON(a=1), name="a_1"),
    ),
}


@pytest.mark.parametrize(("expected", "actual"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_changed_index_is_told_with_both_sides(expected: Index, actual: Index) -> None:
    missing, changed, unknown = compare([expected], [actual])
    assert (missing, unknown) == ((), ())
    assert [(each.expected, each.actual) for each in changed] == [(expected, actual)]


def test_missing_and_unknown_are_told_apart() -> None:
    expected, actual = declared(("a", 1)), found(key=SON(b=1), name="b_1")
    identity = found(key=SON(_id=1), name="_id_")
    assert compare([expected], [identity, actual]) == ((expected,), (), (actual,))


# diff and sync


def test_right_after_connect_there_is_no_difference(mongod: EmbeddedMongo) -> None:
    with model_registry(*PACKAGE_MODELS), connected(settings_for(mongod)):
        assert (indexes.diff("default"), indexes.diff("database1")) == ([], [])


def test_diff_tells_missing_changed_and_unknown(settings: Settings) -> None:
    things = database()["things"]
    things.create_index("code")
    things.create_index("old")
    defined(
        code=StringField(unique=True),
        size=IntField(),
        meta={"collection": "things", "indexes": ["size"]},
    )
    (difference,) = indexes.diff("default")
    assert (difference.alias, difference.collection, difference.exists) == (
        "default", "things", True,
    )  # fmt: skip
    assert [index.name for index in difference.missing] == ["size_1"]
    assert [each.actual.name for each in difference.changed] == ["code_1"]
    assert [index.name for index in difference.unknown] == ["old_1"]


def test_diff_writes_nothing(commands: SentCommands) -> None:
    unique_thing()
    (difference,) = indexes.diff("default")
    assert difference.exists is False
    assert set(commands.names) <= {"listCollections", "listIndexes"}


def test_sync_creates_what_is_missing_even_where_it_is_not_automatic(
    mongod: EmbeddedMongo,
) -> None:
    unique_thing()
    with connected(settings_for(mongod, auto_index=False, auto_create=False)):
        assert indexes.sync("default") == [
            Action("create_collection", "default", "things"),
            Action("create_index", "default", "things", "code_1"),
        ]
        assert indexes.diff("default") == []


def test_sync_alters_a_ttl_in_place(settings: Settings) -> None:
    database()["things"].create_index("at", expireAfterSeconds=60)
    meta = {
        "collection": "things",
        "indexes": [{"fields": ["at"], "expireAfterSeconds": 120}],
    }
    defined(at=DateTimeField(), meta=meta)
    assert indexes.sync("default") == [Action("change_ttl", "default", "things", "at_1")]
    assert database()["things"].index_information()["at_1"]["expireAfterSeconds"] == 120


def test_sync_alters_the_expiry_of_a_time_series(settings: Settings) -> None:
    database("database1").create_collection(
        "readings", timeseries={"timeField": "at"}, expireAfterSeconds=60
    )
    timeseries()
    assert indexes.sync("database1") == [
        Action("change_option", "database1", "readings", "expireAfterSeconds")
    ]
    assert database("database1")["readings"].options()["expireAfterSeconds"] == 3600


def test_sync_leaves_changed_and_unknown_indexes_alone(settings: Settings) -> None:
    database()["things"].create_index("code")
    database()["things"].create_index("old")
    unique_thing()
    assert indexes.sync("default") == []
    assert index_names("things") == ["_id_", "code_1", "old_1"]


def test_sync_with_drop_rebuilds_and_drops(settings: Settings) -> None:
    database()["things"].create_index("code")
    database()["things"].create_index("old")
    unique_thing()
    assert indexes.sync("default", drop=True) == [
        Action("drop_index", "default", "things", "old_1"),
        Action("rebuild_index", "default", "things", "code_1"),
    ]
    assert database()["things"].index_information()["code_1"]["unique"] is True
    assert indexes.diff("default") == []


def test_a_rebuild_that_fails_puts_the_old_index_back(settings: Settings) -> None:
    things = database()["things"]
    things.insert_many([{"code": "a"}, {"code": "a"}])
    things.create_index("code", sparse=True)
    unique_thing()
    with pytest.raises(IndexBuildError, match="duplicates"):
        indexes.sync("default", drop=True)
    assert things.index_information()["code_1"]["sparse"] is True


def test_an_index_with_other_options_refuses_writes_and_names_the_remedy(
    settings: Settings,
) -> None:
    database()["things"].create_index("code")
    thing = unique_thing()
    with pytest.raises(IndexBuildError, match="indexes sync --drop"):
        thing(code="a").save()
    indexes.sync("default", drop=True)
    thing(code="a").save()


def test_the_same_index_under_another_name_is_good_enough(settings: Settings) -> None:
    database()["things"].create_index("code", unique=True, name="by_code")
    thing = unique_thing()
    thing(code="a").save()
    assert index_names("things") == ["_id_", "by_code"]


def test_a_missing_privilege_is_explained(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise OperationFailure("not authorized on test to execute command", code=13)

    monkeypatch.setattr("pymongo.collection.Collection.create_indexes", refuse)
    with pytest.raises(IndexBuildError, match="may not create indexes"):
        unique_thing()(code="a").save()


def test_a_server_that_is_away_is_told_as_for_any_write(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_args: Any, **_kwargs: Any) -> None:
        raise AutoReconnect("connection refused")

    thing = unique_thing()
    with monkeypatch.context() as away:
        away.setattr("pymongo.collection.Collection.create_indexes", lose)
        with pytest.raises(UnavailableError):
            thing(code="a").save()
        with pytest.raises(IndexBuildError, match="can't be reached"):
            indexes.build("default")
    thing(code="a").save()
    assert index_names("things") == ["_id_", "code_1"]


@pytest.mark.parametrize("build", [lambda: indexes.build("default"), None], ids=["build", "save"])
def test_a_disconnect_in_the_middle_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, build: Callable[[], None] | None
) -> None:
    original, thing = Collection.create_indexes, unique_thing()

    def disconnect_first(self: Any, *args: Any, **kwargs: Any) -> Any:
        db.disconnect_all()
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Collection, "create_indexes", disconnect_first)
    with pytest.raises(NotConnectedError, match="disconnected meanwhile"):
        (build or thing(code="a").save)()


def test_a_race_with_another_process_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = Collection.create_indexes, []

    def lose_first(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 1:
            raise OperationFailure("collection dropped", code=276)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Collection, "create_indexes", lose_first)
    thing = unique_thing()
    thing(code="a").save()
    assert len(calls) == 2
    assert index_names("things") == ["_id_", "code_1"]


def test_mongomock_gets_the_unique_indexes() -> None:
    thing = unique_thing()
    uris = {alias: f"mongomock://{alias}" for alias in ("default", "database1")}
    db.disconnect_all()
    with db.connected(Settings(databases=uris)):
        thing(code="a").save()
        with pytest.raises(mongoengine.NotUniqueError):
            thing(code="a").save()
        assert registry.connection("default").settings.kind == "mongomock"
