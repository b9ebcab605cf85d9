"""``created_at`` and ``updated_at`` where documents are changed in the database: what an update
does to a stamp itself holds; every other one moves ``updated_at``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fresh_databases import model_registry
from mongoengine.fields import IntField, StringField

from datalayer.documents import BusinessDocument, UTCDateTimeField
from datalayer.documents.queries.pipeline_timestamps import stamped_pipeline
from datalayer.settings import Settings

OLD = datetime(2020, 1, 1, tzinfo=UTC)
GIVEN = datetime(2021, 1, 1, tzinfo=UTC)
NOW = "now"

with model_registry():

    class Task(BusinessDocument):
        name = StringField()
        count = IntField()
        seen_at = UTCDateTimeField()
        previous_at = UTCDateTimeField()

    class Renamed(BusinessDocument):
        """The stamps have other names in the database."""

        name = StringField()
        count = IntField()
        seen_at = UTCDateTimeField()
        previous_at = UTCDateTimeField()
        created_at = UTCDateTimeField(db_field="c")
        updated_at = UTCDateTimeField(db_field="u")

    class Shape(BusinessDocument):
        name = StringField()
        meta = {"allow_inheritance": True}

    class Circle(Shape):
        pass

    MODELS = (Task, Renamed, Shape, Circle)


@pytest.fixture
def empty(shared: Settings) -> None:
    for model in MODELS:
        model._get_collection().delete_many({})


def stored(model: Any = Task, **query: Any) -> Any:
    (found,) = model._get_collection().find(query)
    return found


def saved(model: Any = Task) -> None:
    model(name="a", count=1, seen_at=GIVEN, created_at=OLD, updated_at=OLD).save()


def is_as_expected(found: Any, expected: Any) -> bool:
    return found > GIVEN if expected is NOW else found == expected


CHANGES: dict[str, tuple[dict[str, Any], Any]] = {
    "set": ({"set__count": 2}, NOW),
    "set itself": ({"set__updated_at": GIVEN}, GIVEN),
    "assigned": ({"updated_at": GIVEN}, GIVEN),
    "max": ({"max__updated_at": GIVEN}, GIVEN),
    "min": ({"min__updated_at": GIVEN}, OLD),
    "unset": ({"unset__updated_at": 1}, None),
    "rename": ({"rename__updated_at": "previous_at"}, None),
    "rename to it": ({"rename__seen_at": "updated_at"}, GIVEN),
    "raw $set": ({"__raw__": {"$set": {"count": 2}}}, NOW),
    "raw $set itself": ({"__raw__": {"$set": {"updated_at": GIVEN}}}, GIVEN),
    "raw beside a keyword": ({"set__count": 2, "__raw__": {"$set": {"updated_at": GIVEN}}}, GIVEN),
    "raw $currentDate": ({"__raw__": {"$currentDate": {"updated_at": True}}}, NOW),
    "raw $currentDate by type": (
        {"__raw__": {"$currentDate": {"updated_at": {"$type": "date"}}}},
        NOW,
    ),
    "raw $currentDate of another": ({"__raw__": {"$currentDate": {"seen_at": True}}}, NOW),
    "raw $max": ({"__raw__": {"$max": {"updated_at": GIVEN}}}, GIVEN),
    "raw $min": ({"__raw__": {"$min": {"updated_at": GIVEN}}}, OLD),
    "raw $unset": ({"__raw__": {"$unset": {"updated_at": ""}}}, None),
    "raw $rename": ({"__raw__": {"$rename": {"updated_at": "previous_at"}}}, None),
    "raw $rename to it": ({"__raw__": {"$rename": {"seen_at": "updated_at"}}}, GIVEN),
    "raw $setOnInsert of the other": ({"__raw__": {"$setOnInsert": {"created_at": GIVEN}}}, NOW),
}
WAYS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "update": lambda change: Task.objects.update(**change),
    "update_one": lambda change: Task.objects.update_one(**change),
    "modify": lambda change: Task.objects.modify(**change),
    "upsert_one": lambda change: Task.objects(name="a").upsert_one(**change),
    "document.update": lambda change: Task.objects.get().update(**change),
    "document.modify": lambda change: Task.objects.get().modify(**change),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_an_update_moves_the_stamp_or_has_its_way_with_it(
    empty: None, way: Callable[[dict[str, Any]], Any], change: dict[str, Any], expected: Any
) -> None:
    saved()
    way(change)
    found = stored()
    assert is_as_expected(found.get("updated_at"), expected)
    assert found["created_at"] == OLD


RENAMED: dict[str, tuple[dict[str, Any], Any]] = {
    "set": ({"set__count": 2}, NOW),
    "max": ({"max__updated_at": GIVEN}, GIVEN),
    "unset": ({"unset__updated_at": 1}, None),
    "raw $max": ({"__raw__": {"$max": {"u": GIVEN}}}, GIVEN),
    "raw $rename": ({"__raw__": {"$rename": {"u": "previous_at"}}}, None),
    "raw, what the attribute is called": ({"__raw__": {"$set": {"updated_at": GIVEN}}}, NOW),
    "pipeline": ({"__raw__": [{"$set": {"count": 2}}]}, NOW),
    "pipeline that sets it": ({"__raw__": [{"$set": {"u": GIVEN}}]}, GIVEN),
}


@pytest.mark.parametrize(("change", "expected"), RENAMED.values(), ids=RENAMED)
def test_a_stamp_is_known_by_its_name_in_the_database(
    empty: None, change: dict[str, Any], expected: Any
) -> None:
    saved(Renamed)
    Renamed.objects.update(**change)
    assert is_as_expected(stored(Renamed).get("u"), expected)


INSERTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "keyword": ({}, {"set__count": 2}, NOW),
    "set": ({}, {"set__created_at": GIVEN}, GIVEN),
    "set on insert": ({}, {"set_on_insert__created_at": GIVEN}, GIVEN),
    "min": ({}, {"min__created_at": GIVEN}, GIVEN),
    "raw $setOnInsert": ({}, {"__raw__": {"$setOnInsert": {"created_at": GIVEN}}}, GIVEN),
    "raw $set": ({}, {"__raw__": {"$set": {"created_at": GIVEN}}}, GIVEN),
    "raw $max": ({}, {"__raw__": {"$max": {"created_at": GIVEN}}}, GIVEN),
    "raw $currentDate": ({}, {"__raw__": {"$currentDate": {"created_at": True}}}, NOW),
    "raw $unset": ({}, {"__raw__": {"$unset": {"created_at": 1}}}, None),
    "asked for": ({"created_at": GIVEN}, {"set__count": 2}, GIVEN),
    "asked for, raw": ({"__raw__": {"created_at": {"$eq": GIVEN}}}, {"set__count": 2}, GIVEN),
    "asked for, in": ({"created_at__in": [GIVEN]}, {"set__count": 2}, GIVEN),
    "asked for, $and": ({"__raw__": {"$and": [{"created_at": GIVEN}]}}, {"set__count": 2}, GIVEN),
    "asked for, within bounds": ({"created_at__gt": GIVEN}, {"set__count": 2}, NOW),
    "asked for, two": ({"created_at__in": [OLD, GIVEN]}, {"set__count": 2}, NOW),
    "asked for, null": ({"created_at": None}, {"set__count": 2}, NOW),
}
UPSERTS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "update": lambda objects, change: objects.update(upsert=True, **change),
    "update_one": lambda objects, change: objects.update_one(upsert=True, **change),
    "modify": lambda objects, change: objects.modify(upsert=True, **change),
}


@pytest.mark.parametrize("upsert", UPSERTS.values(), ids=UPSERTS)
@pytest.mark.parametrize(("query", "change", "expected"), INSERTIONS.values(), ids=INSERTIONS)
def test_what_an_upsert_inserts_has_both_stamps(
    empty: None,
    upsert: Callable[[Any, dict[str, Any]], Any],
    query: dict[str, Any],
    change: dict[str, Any],
    expected: Any,
) -> None:
    upsert(Task.objects(name="b", **query), change)
    found = stored()
    assert is_as_expected(found.get("created_at"), expected)
    assert found["updated_at"] > GIVEN


PIPELINES: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "set another": ({}, {"__raw__": [{"$set": {"count": 2}}]}, NOW),
    "set": ({}, {"__raw__": [{"$set": {"created_at": GIVEN}}]}, GIVEN),
    "asked for": ({"created_at": GIVEN}, {"__raw__": [{"$set": {"count": 2}}]}, GIVEN),
    "replaced": ({}, {"__raw__": [{"$replaceWith": {"name": "b"}}]}, NOW),
}


@pytest.mark.parametrize("name", ["update", "update_one"])
@pytest.mark.parametrize(("query", "change", "expected"), PIPELINES.values(), ids=PIPELINES)
def test_what_an_upsert_by_a_pipeline_inserts_has_both_stamps(
    empty: None, name: str, query: dict[str, Any], change: dict[str, Any], expected: Any
) -> None:
    UPSERTS[name](Task.objects(name="b", **query), change)
    found = stored()
    assert is_as_expected(found.get("created_at"), expected)
    assert found["updated_at"] > GIVEN


def test_an_upsert_of_what_is_there_leaves_its_creation_alone(empty: None) -> None:
    saved()
    Task.objects(name="a").update_one(upsert=True, count=2)
    Task.objects(name="a").update_one(upsert=True, __raw__=[{"$set": {"count": 3}}])
    assert stored()["created_at"] == OLD


def test_an_upsert_that_asks_for_the_last_change_moves_it(empty: None) -> None:
    saved()
    Task.objects(updated_at=OLD).update_one(upsert=True, count=2)
    assert stored()["updated_at"] > GIVEN
    assert stored()["count"] == 2


STAGES: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "$set": ([{"$set": {"count": 2}}], NOW),
    "$addFields": ([{"$addFields": {"count": 2}}], NOW),
    "$set itself": ([{"$set": {"updated_at": GIVEN}}], GIVEN),
    "$set from another": ([{"$set": {"updated_at": "$seen_at"}}], GIVEN),
    "$addFields itself": ([{"$addFields": {"updated_at": GIVEN}}], GIVEN),
    "$unset": ([{"$unset": "updated_at"}], None),
    "$unset among others": ([{"$unset": ["count", "updated_at"]}], None),
    "$unset of another": ([{"$unset": ["count"]}], NOW),
    "$project without it": ([{"$project": {"count": 1}}], NOW),
    "$project with it": ([{"$project": {"count": 1, "updated_at": 1}}], NOW),
    "$project that computes it": ([{"$project": {"updated_at": "$seen_at"}}], GIVEN),
    "$project that leaves it out": ([{"$project": {"updated_at": 0}}], None),
    "$project that leaves out another": ([{"$project": {"count": False}}], NOW),
    "$replaceWith": ([{"$replaceWith": {"name": "b"}}], NOW),
    "$replaceRoot": ([{"$replaceRoot": {"newRoot": {"name": "b"}}}], NOW),
    "$replaceWith that keeps it": (
        [{"$replaceWith": {"name": "b", "updated_at": "$updated_at"}}],
        NOW,
    ),
    "$replaceWith that sets it": ([{"$replaceWith": {"updated_at": GIVEN}}], GIVEN),
    "$replaceRoot that sets it": (
        [{"$replaceRoot": {"newRoot": {"updated_at": GIVEN}}}],
        GIVEN,
    ),
    "merged": ([{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"count": 2}]}}], NOW),
    "merged with one that has it inside": (
        [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"sub": {"updated_at": GIVEN}}]}}],
        NOW,
    ),
    "merged with one that sets it": (
        [{"$replaceWith": {"$mergeObjects": ["$$ROOT", {"updated_at": GIVEN}]}}],
        GIVEN,
    ),
    "one of two": (
        [{"$replaceWith": {"$cond": [True, {"updated_at": GIVEN}, "$$ROOT"]}}],
        GIVEN,
    ),
    "one of two, by name": (
        [{"$replaceWith": {"$cond": {"if": True, "then": {"updated_at": GIVEN}, "else": {}}}}],
        GIVEN,
    ),
    "one of several": (
        [
            {
                "$replaceWith": {
                    "$switch": {
                        "branches": [{"case": True, "then": {"updated_at": GIVEN}}],
                        "default": "$$ROOT",
                    }
                }
            }
        ],
        GIVEN,
    ),
    "named before": (
        [{"$replaceWith": {"$let": {"vars": {"at": GIVEN}, "in": {"updated_at": "$$at"}}}}],
        GIVEN,
    ),
    "set, then replaced": (
        [{"$set": {"updated_at": GIVEN}}, {"$replaceWith": {"name": "b"}}],
        GIVEN,
    ),
    "set, then projected": ([{"$set": {"updated_at": GIVEN}}, {"$project": {"name": 1}}], GIVEN),
}


@pytest.mark.parametrize(("stages", "expected"), STAGES.values(), ids=STAGES)
def test_a_pipeline_moves_the_stamp_or_has_its_way_with_it_and_loses_none(
    empty: None, stages: list[dict[str, Any]], expected: Any
) -> None:
    saved()
    Task.objects.update(__raw__=stages)
    found = stored()
    assert is_as_expected(found.get("updated_at"), expected)
    assert found["created_at"] == OLD


def test_a_pipeline_sees_the_document_as_it_is_stored(empty: None) -> None:
    saved()
    Task.objects.update(__raw__=[{"$set": {"previous_at": "$updated_at"}}])
    assert stored()["previous_at"] == OLD


def test_a_pipeline_that_replaces_by_nothing_is_refused_as_before(empty: None) -> None:
    saved()
    before = stored()
    with pytest.raises(Exception, match="Update failed"):
        Task.objects.update(__raw__=[{"$replaceWith": "$missing"}])
    assert stored() == before


def test_a_pipeline_given_by_the_caller_is_left_as_it_was(empty: None) -> None:
    stages: list[dict[str, Any]] = [{"$replaceWith": {"name": "b"}}, {"$project": {"name": 1}}]
    Task.objects.update(__raw__=stages)
    assert stages == [{"$replaceWith": {"name": "b"}}, {"$project": {"name": 1}}]


def test_a_pipeline_that_makes_another_document_keeps_its_class(empty: None) -> None:
    Circle(name="a").save()
    Shape.objects.update(__raw__=[{"$replaceWith": {"name": "b"}}, {"$project": {"name": 1}}])
    assert stored(Shape)["_cls"] == "Shape.Circle"
    (found,) = Shape.objects
    assert type(found) is Circle


@pytest.mark.parametrize("stage", [None, 3, {}, {"$set": 1}, {"$replaceRoot": 1}, {"$project": 1}])
def test_a_stage_that_is_none_is_left_to_the_server(stage: Any) -> None:
    stamped = stamped_pipeline([stage], OLD, updated="updated_at", created="created_at")
    assert stamped[0] == stage
