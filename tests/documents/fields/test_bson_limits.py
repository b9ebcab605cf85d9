"""What MongoDB can't store is refused before anything is sent, with the field's name: whichever
way a model writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from fresh_databases import emptied, model_registry
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from mongoengine.errors import ValidationError
from mongoengine.fields import (
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    IntField,
    ListField,
    LongField,
    MapField,
    StringField,
)
from pymongo import InsertOne, ReplaceOne, UpdateOne

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument, EmbeddedDocument, RawDictField
from datalayer.documents.fields.bson_limits import LARGEST_BYTES, check_document, check_update
from datalayer.models import AnalyticsEvent
from datalayer.settings import Settings

CANARY = "Zq7XwKv93Jp"

with model_registry():

    class Part(EmbeddedDocument):
        label = StringField()
        more = DictField()

    class Thing(BusinessDocument):
        text = StringField()
        number = IntField()
        long = LongField()
        notes = DictField()
        raw = RawDictField()
        anything = DynamicField()
        rows = ListField(DictField())
        counts = MapField(IntField())
        part = EmbeddedDocumentField(Part)


MODELS = (Part, Thing, AnalyticsEvent)


@pytest.fixture(autouse=True)
def own_models() -> Iterator[None]:
    with model_registry(*MODELS):
        yield


@pytest.fixture
def settings(shared: Settings) -> Settings:
    """Connected, to empty databases."""
    db.connect_all(shared)
    emptied(shared)
    return shared


def sent(alias: str = "default") -> int:
    """How many commands this thread has sent so far."""
    return registry.connection(alias).monitors.commands.traffic().sent


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def save_new(field: str, value: Any) -> None:
    Thing(**{field: value}).save()


def save_new_with_an_id(field: str, value: Any) -> None:
    Thing(id=ObjectId(), **{field: value}).save()


def save_unvalidated(field: str, value: Any) -> None:
    Thing(**{field: value}).save(validate=False)


def save_changed(field: str, value: Any) -> None:
    thing = Thing.objects.first()
    setattr(thing, field, value)
    thing.save()


def insert_one(field: str, value: Any) -> None:
    Thing.objects.insert(Thing(**{field: value}))


def insert_unvalidated(field: str, value: Any) -> None:
    Thing.objects.insert(Thing(**{field: value}), validate=False)


def insert_many(field: str, value: Any) -> None:
    Thing.objects.insert([Thing(text="good"), Thing(**{field: value})], load_bulk=False)


def update(field: str, value: Any) -> None:
    Thing.objects.update(**{f"set__{field}": value})


def upsert(field: str, value: Any) -> None:
    Thing.objects(text="none").upsert_one(**{f"set_on_insert__{field}": value})


def modify(field: str, value: Any) -> None:
    Thing.objects.modify(new=True, **{field: value})


def modify_document(field: str, value: Any) -> None:
    Thing.objects.first().modify(**{f"set__{field}": value})


def bulk(field: str, value: Any) -> None:
    Thing._get_collection().bulk_write([InsertOne({"text": "good"}), InsertOne({field: value})])


WAYS = (
    save_new,
    save_new_with_an_id,
    save_unvalidated,
    save_changed,
    insert_one,
    insert_unvalidated,
    insert_many,
    update,
    upsert,
    modify,
    modify_document,
    bulk,
)
READS_FIRST = (save_changed, modify_document)

MISFITS = {
    "an oversize document": ("text", CANARY * 1_600_000, "text"),
    "too many levels": ("anything", nested(100), "anything.a.a.a.a.a.a.a..."),
    "far too many levels": ("anything", nested(400), "anything.a.a.a.a.a.a.a..."),
    "too large an int": ("anything", {"n": 2**63}, "anything.n"),
    "too small an int": ("anything", [0, -(2**63) - 1], "anything.1"),
    "too large an int in an IntField": ("number", 2**70, "number"),
    "too large an int in a LongField": ("long", 2**70, "long"),
    "a lone surrogate": ("text", f"{CANARY}\ud800", "text"),
    "a lone surrogate in a key": ("notes", {"a\udfffb": CANARY}, r"notes.'a\udfffb'"),
    "a NUL in a key": ("notes", {"x": {"a\0b": CANARY}}, r"notes.x.'a\x00b'"),
    "a dollar": ("anything", {"$ne": CANARY}, "anything.$ne"),
    "a dollar in a list": ("rows", [{"k": 1}, {"k": {"$gt": CANARY}}], "rows.1.k.$gt"),
    "a dollar in an embedded document": ("part", {"more": {"k": {"$gt": 1}}}, "part.more.k.$gt"),
    "a dot": ("notes", {"a.b": CANARY}, "notes.'a.b'"),
    "a dot in a map": ("counts", {"a.b": 1}, "counts.'a.b'"),
    "too many levels in a raw mapping": ("raw", nested(100), "raw"),
    "too large an int in a raw mapping": ("raw", {"k": 2**63}, "raw"),
    "a key that is a number": ("anything", {"k": {1: CANARY}}, "anything.k"),
    "an object": ("anything", {"k": Settings}, "anything.k"),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", MISFITS)
def test_what_can_not_be_stored_is_refused_before_anything_is_sent(
    settings: Settings, kind: str, way: Callable[[str, Any], None]
) -> None:
    field, value, path = MISFITS[kind]
    if field == "part" and way is not bulk:
        value = Part(**value)
    Thing(text="there").save()
    before = sent() + (way in READS_FIRST)
    with pytest.raises(ValidationError) as caught:
        way(field, value)
    assert sent() == before
    assert list(Thing.objects.scalar("text")) == ["there"]
    (name,) = caught.value.errors or [caught.value.field_name]
    assert name.split(".")[0] in path.split(".")  # "more", from MongoEngine, for "part.more"
    if way is insert_unvalidated:  # no field has looked at it before
        assert name == path
    assert CANARY not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


# What may be stored

FITTING = {
    "a hundred levels": ("anything", nested(99)),
    "the largest ints": ("anything", [2**63 - 1, -(2**63), Int64(2**62), True]),
    "text in any script": ("text", "\U0001f600 äß \0"),
    "an empty key": ("anything", {"": 1}),
    "dots and dollars in a raw mapping": ("raw", {"$set": [{"a.b": nested(96)}]}),
    "a dollar and a minus inside a key": ("anything", {"a$b-c": 1}),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", FITTING)
def test_what_can_be_stored_is_not_refused(
    settings: Settings, kind: str, way: Callable[[str, Any], None]
) -> None:
    if way is bulk and kind == "dots and dollars in a raw mapping":
        pytest.skip("the raw collection knows no fields")
    field, value = FITTING[kind]
    Thing(text="there").save()
    way(field, value)
    assert value in [stored.get(field) for stored in Thing.objects.as_pymongo()]


def test_a_document_of_exactly_the_limit_fits_and_one_byte_more_does_not(
    settings: Settings,
) -> None:
    base = len(bson.encode({"_id": 1, "text": ""}))
    things = Thing._get_collection()
    things.insert_one({"_id": 1, "text": "x" * (LARGEST_BYTES - base)})
    before = sent()
    with pytest.raises(ValidationError, match=f"at most {LARGEST_BYTES}") as caught:
        things.insert_one({"_id": 2, "text": "x" * (LARGEST_BYTES - base + 1)})
    assert list(caught.value.errors) == ["text"]
    assert sent() == before


def test_raw_bson_is_stored_as_it_is(settings: Settings) -> None:
    raw = RawBSONDocument(bson.encode({"_id": 1, "notes": {"a.b": 1}}))
    Thing._get_collection().insert_one(raw)
    assert Thing.objects.as_pymongo().get()["notes"] == {"a.b": 1}


def test_the_document_can_be_saved_after_the_field_was_mended(settings: Settings) -> None:
    thing = Thing(notes={"a.b": 1})
    with pytest.raises(ValidationError):
        thing.save()
    thing.notes = {"b": 1}
    thing.save()
    assert Thing.objects.get().notes == {"b": 1}


# Changes


@pytest.mark.parametrize("key", ["a.b", "a.b.c", "k.b"])
def test_a_change_under_a_key_with_a_dot_is_refused_instead_of_lost(
    settings: Settings, key: str
) -> None:
    thing = Thing(notes={"k": 1, "a": {"b": 5}}).save()
    thing.notes[key] = 2
    before = sent()
    with pytest.raises(ValidationError) as caught:
        thing.save()
    assert sent() == before
    assert list(caught.value.errors) == [f"notes.'{key}'"]
    assert Thing.objects.get().notes == {"k": 1, "a": {"b": 5}}


def test_what_others_stored_under_such_keys_does_not_hinder_other_changes(
    settings: Settings,
) -> None:
    raw = RawBSONDocument(bson.encode({"_id": ObjectId(), "notes": {"a.b": 1, "k": 1}}))
    Thing._get_collection().insert_one(raw)
    thing = Thing.objects.get()
    thing.text = "new"
    thing.notes["k"] = 2
    thing.save()
    assert Thing.objects.as_pymongo().get()["notes"] == {"a.b": 1, "k": 2}


@pytest.mark.parametrize(
    "change",
    [
        {"push__rows": {"$x": 1}},
        {"push_all__rows": [{"k": 1}, {"$x": 1}]},
        {"add_to_set__rows": [{"a.b": 1}]},
        {"push__rows__0": {"a.b": 1}},
        {"inc__number": 2**70},
        {"max__long": 2**70},
        {"pull__anything": 2**70},
        {"set__notes__k": {"$x": 1}},
        {"__raw__": {"$set": {"anything.$x": 1}}},
        {"__raw__": {"$rename": {"anything": "a\0b"}, "$set": {"a\0b": 1}}},
        {"unset__text": 1, "set__notes": {"": {"$x": 1}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_operator_of_an_update_is_looked_into(
    settings: Settings, change: dict[str, Any]
) -> None:
    Thing(text="there", rows=[{"k": 0}]).save()
    before = sent()
    with pytest.raises(ValidationError) as caught:
        Thing.objects.update(**change)
    assert sent() == before
    assert list(caught.value.errors) != []


@pytest.mark.parametrize(
    "change",
    [
        {"push__rows": {"k": 1}},
        {"push_all__rows": [{"k": 1}, {"k": 2}]},
        {"pull__rows__k__in": [0]},
        {"__raw__": {"$set": {"rows.$.k": 1}}},
        {"set__notes__k__j": {"deep": 1}},
        {"__raw__": {"$set": {"rows.$[each].k": 1}}, "array_filters": [{"each.k": 0}]},
        {"__raw__": {"$push": {"rows": {"$each": [{"k": 3}], "$slice": -2}}}},
        {"__raw__": [{"$set": {"text": {"$concat": ["$text", "!"]}}}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_update_may_use_paths_positions_and_modifiers(
    settings: Settings, change: dict[str, Any]
) -> None:
    Thing(text="there", rows=[{"k": 0}]).save()
    assert Thing.objects(rows__k=0).update(**change) == 1


def test_the_requests_of_a_bulk_write_are_all_looked_into(settings: Settings) -> None:
    things = Thing._get_collection()
    before = sent()
    for request in (
        InsertOne({"notes": {"a.b": 1}}),
        ReplaceOne({}, {"notes": {"a.b": 1}}),
        UpdateOne({}, {"$set": {"notes": {"a.b": 1}}}),
    ):
        with pytest.raises(ValidationError):
            things.bulk_write([request])
    assert sent() == before
    things.bulk_write([InsertOne({"_id": 1}), UpdateOne({}, [{"$set": {"text": "$_id"}}])])
    assert things.count_documents({"text": 1}) == 1


@pytest.mark.parametrize("value", [{"$ne": 1}, {"http.status": 200}, {"n": 2**63}, {"\ud800": 1}])
def test_the_properties_of_an_event_are_looked_into(settings: Settings, value: Any) -> None:
    before = sent("database1")
    for write in (
        lambda: AnalyticsEvent(name="seen", properties=value).save(),
        lambda: AnalyticsEvent.objects.insert(AnalyticsEvent(name="seen", properties=value)),
        lambda: AnalyticsEvent.objects(name="x").update(set__properties=value),
    ):
        with pytest.raises(ValidationError, match="propert"):
            write()
    assert sent("database1") == before


# The checker itself

scalars = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-(2**65), 2**65), st.text(max_size=6)
)
odd_text = st.text(st.sampled_from("ab$.\0\ud800é"), max_size=4)
values = st.recursive(
    st.one_of(scalars, odd_text, st.binary(max_size=4)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(odd_text, inner, max_size=4)),
    max_leaves=12,
)


def is_storable(value: Any) -> bool:
    """The rules again, written down as plainly as they can be."""
    if isinstance(value, dict):
        good = all(
            is_storable(key) and "\0" not in key and "." not in key and not key.startswith("$")
            for key in value
        )
        return good and all(map(is_storable, value.values()))
    if isinstance(value, list):
        return all(map(is_storable, value))
    if isinstance(value, str):
        return "\ud800" not in value
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@profile(max_examples=1500, deadline=None, database=None, derandomize=True)
@given(values)
def test_exactly_what_breaks_a_rule_is_refused(value: Any) -> None:
    for check in (
        lambda: check_document({"field": value}, "things"),
        lambda: check_update({"$set": {"field": value}}, "things"),
        lambda: check_update({"$push": {"a.b.field": {"$each": [value]}}}, "things"),
    ):
        try:
            check()
        except ValidationError as error:
            assert not is_storable(value)
            ((path, _),) = error.errors.items()
            assert "field" in path
            assert path.isascii()
            assert path.isprintable()
        else:
            assert is_storable(value)
    if is_storable(value):
        bson.encode({"field": value})
