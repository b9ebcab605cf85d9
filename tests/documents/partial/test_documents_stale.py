"""A document that was loaded and isn't any more what was loaded is never saved as a fragment."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from mongoengine import (
    CASCADE,
    DynamicDocument,
    IntField,
    ListField,
    ReferenceField,
    SequenceField,
    StringField,
    UUIDField,
)
from mongoengine.errors import DoesNotExist, NotUniqueError, SaveConditionError

from datalayer import AnalyticsDocument, BusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.errors import DataLayerError, StaleDocumentError
from datalayer.settings import Settings
from datalayer.web import is_temporary


class Parcel(BusinessDocument):
    code = StringField(required=True, unique=True)
    weight = IntField(required=True)
    note = StringField()
    tags = ListField(StringField())


class Named(Document):
    name = StringField(primary_key=True)
    size = IntField(required=True)


class Marked(Document):
    mark = UUIDField(primary_key=True, binary=False)
    size = IntField()


class Holder(BusinessDocument):
    parcel = ReferenceField(Parcel, reverse_delete_rule=CASCADE)
    title = StringField(required=True)


class ByParcel(Document):
    parcel = ReferenceField(Parcel, primary_key=True)
    size = IntField()


class Numbered(Document):
    """Saved in MongoEngine's own way: its numbers are made while it is written."""

    number = SequenceField(collection_name="test_numbers")
    title = StringField(required=True)


class Loose(Document, DynamicDocument):
    title = StringField(required=True)


class Visit(AnalyticsDocument):
    page = StringField(required=True)
    seconds = IntField()


class Sharded(Document):
    region = StringField(required=True)
    size = IntField()

    meta = {"shard_key": ("region",)}


MODELS = (Parcel, Named, Marked, Holder, ByParcel, Numbered, Loose, Visit, Sharded)


def raw(model: Any, alias: str = "default") -> Any:
    return registry.connection(alias).database[model._get_collection_name()]


def parcel(code: str = "a") -> Any:
    Parcel(code=code, weight=3).save()
    return Parcel.objects.get(code=code)


# Deleted meanwhile


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "an attribute": (parcel, lambda found: setattr(found, "note", "left")),
    "a list": (parcel, lambda found: found.tags.append("x")),
    "an own key": (
        lambda: Named(name="n", size=1).save(),
        lambda found: setattr(found, "size", 2),
    ),
    "a key that is a UUID as text": (
        lambda: Marked(mark=uuid4(), size=1).save(),
        lambda found: setattr(found, "size", 2),
    ),
    "a key that is a reference": (
        lambda: ByParcel(parcel=parcel(), size=1).save(),
        lambda found: setattr(found, "size", 2),
    ),
    "MongoEngine's own way": (
        lambda: Numbered(title="a").save(),
        lambda found: setattr(found, "title", "b"),
    ),
    "a dynamic document": (
        lambda: Loose(title="a").save(),
        lambda found: setattr(found, "more", [1]),
    ),
    "a shard key": (
        lambda: Sharded(region="eu", size=1).save(),
        lambda found: setattr(found, "size", 2),
    ),
}


@pytest.mark.parametrize("how", CHANGES)
def test_saving_a_document_that_was_deleted_meanwhile_raises(how: str) -> None:
    make, change = CHANGES[how]
    found = make()
    raw(type(found)).delete_many({})
    change(found)
    with pytest.raises(StaleDocumentError) as caught:
        found.save()
    assert raw(type(found)).count_documents({}) == 0
    assert (caught.value.alias, caught.value.collection) == (
        "default",
        type(found)._get_collection_name(),
    )
    assert caught.value.id == found.pk


def test_the_error_says_what_to_do_and_travels() -> None:
    found = parcel()
    raw(Parcel).delete_many({})
    found.note = "left"
    with pytest.raises(StaleDocumentError, match=r"Parcel .* save\(force_insert=True\)") as caught:
        found.save()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.alias, again.collection, again.id) == ("default", "parcel", found.pk)


def test_the_error_does_not_show_a_key_that_may_be_contents() -> None:
    found = Named(name="eve@example.org", size=1).save()
    raw(Named).delete_many({})
    found.size = 2
    with pytest.raises(StaleDocumentError) as caught:
        found.save()
    assert "eve" not in str(caught.value)
    assert caught.value.id == "eve@example.org"


def test_a_document_of_another_database_names_its_alias() -> None:
    found = Visit(page="a").save()
    raw(Visit, "database1").delete_many({})
    found.seconds = 2
    with pytest.raises(StaleDocumentError) as caught:
        found.save()
    assert caught.value.alias == "database1"


def test_what_was_deleted_can_be_stored_again_as_a_whole() -> None:
    found = parcel()
    raw(Parcel).delete_many({})
    found.note = "left"
    found.save(force_insert=True)
    stored = raw(Parcel).find_one()
    assert (stored["_id"], stored["code"], stored["note"]) == (found.pk, "a", "left")


def test_a_change_stays_noted_after_the_error() -> None:
    found = parcel()
    stored = raw(Parcel).find_one_and_delete({})
    found.note = "left"
    with pytest.raises(StaleDocumentError):
        found.save()
    raw(Parcel).insert_one(stored)
    found.save()
    assert raw(Parcel).find_one()["note"] == "left"


def test_without_a_change_there_is_nothing_to_save() -> None:
    found = parcel()
    raw(Parcel).delete_many({})
    found.save()
    assert raw(Parcel).count_documents({}) == 0


def test_a_condition_that_does_not_hold_is_told_as_before() -> None:
    found = parcel()
    raw(Parcel).delete_many({})
    found.note = "left"
    with pytest.raises(SaveConditionError):
        found.save(save_condition={"weight": 3})


def test_modify_update_reload_and_delete_of_what_is_gone_are_as_in_mongoengine() -> None:
    found = parcel()
    raw(Parcel).delete_many({})
    assert not found.modify(set__note="left")
    assert not found.update(set__note="left")
    with pytest.raises(DoesNotExist):
        found.reload()
    found.delete()
    assert raw(Parcel).count_documents({}) == 0


def test_an_unacknowledged_write_gives_no_verdict() -> None:
    found = parcel()
    raw(Parcel).delete_many({})
    found.note = "left"
    found.save(write_concern={"w": 0})
    assert found._get_changed_fields() == []


def test_a_reference_that_is_gone_is_not_saved_along() -> None:
    holder = Holder(title="a", parcel=parcel()).save()
    raw(Parcel).delete_many({})
    holder.parcel.note = "left"
    holder.title = "b"
    with pytest.raises(StaleDocumentError) as caught:
        holder.save(cascade=True)
    assert caught.value.collection == "parcel"
    assert raw(Parcel).count_documents({}) == 0


def test_in_a_transaction_the_error_rolls_back() -> None:
    found, other = parcel(), parcel("b")
    raw(Parcel).delete_one({"_id": found.pk})
    found.note = other.note = "left"

    @db.transactional
    def save_both() -> None:
        other.save()
        found.save()

    with pytest.raises(StaleDocumentError):
        save_both()
    assert "note" not in raw(Parcel).find_one({"_id": other.pk})


def test_a_transactional_function_is_not_run_again_for_it() -> None:
    found, attempts = parcel(), []
    raw(Parcel).delete_many({})

    @db.transactional
    def change() -> None:
        attempts.append(1)
        found.note = "left"
        found.save()

    with pytest.raises(StaleDocumentError):
        change()
    assert len(attempts) == 1


def test_a_document_moved_to_where_it_is_not_is_not_saved_in_part() -> None:
    found = parcel()
    found.note = "left"
    found.switch_db("database1", keep_created=True)
    with pytest.raises(StaleDocumentError) as caught:
        found.save()
    assert caught.value.alias == "database1"
    found.switch_db("database1").save()
    assert raw(Parcel, "database1").find_one()["code"] == "a"


def test_a_subclass_with_its_own_way_of_updating_is_held_to_it() -> None:
    class Own(Document):
        note = StringField()

        def _save_update(self, doc: Any, save_condition: Any, write_concern: Any) -> Any:
            return super()._save_update(doc, save_condition, write_concern)

    found = Own(note="a").save()
    raw(Own).delete_many({})
    found.note = "left"
    with pytest.raises(StaleDocumentError):
        found.save()


def test_it_is_not_a_temporary_failure() -> None:
    error = StaleDocumentError("gone", collection="parcel", id=1)
    assert isinstance(error, DataLayerError)
    assert not is_temporary(error)


# The primary key


@pytest.mark.parametrize("exists", [True, False])
def test_a_primary_key_that_was_changed_is_refused_before_anything_is_sent(exists: bool) -> None:
    found = parcel()
    before = found.pk
    other = parcel("b").pk if exists else ObjectId()
    found.id = other
    found.note = "left"
    with pytest.raises(StaleDocumentError, match="another primary key") as caught:
        found.save()
    assert caught.value.id == before
    assert raw(Parcel).count_documents({"note": "left"}) == 0
    assert raw(Parcel).count_documents({}) == 1 + exists


def test_a_key_that_was_put_back_is_saved() -> None:
    found = parcel()
    before, found.id, found.note = found.pk, ObjectId(), "left"
    found.id = before
    found.save()
    assert raw(Parcel).find_one({"_id": before})["note"] == "left"


def test_the_same_key_in_another_type_is_no_other_key() -> None:
    found = parcel()
    found.id = str(found.id)
    found.note = "left"
    found.save()
    assert raw(Parcel).find_one()["note"] == "left"


def test_an_own_key_can_not_be_changed_by_saving() -> None:
    found = Named(name="a", size=1).save()
    found.name = "b"
    with pytest.raises(StaleDocumentError):
        found.save()
    assert [each["_id"] for each in raw(Named).find()] == ["a"]


def test_a_copy_under_another_key_is_stored_as_a_whole() -> None:
    found = Named(name="a", size=1).save()
    found.name = "b"
    found.save(force_insert=True)
    assert list(raw(Named).find().sort("_id")) == [
        {"_id": "a", "size": 1},
        {"_id": "b", "size": 1},
    ]


def test_a_document_without_its_key_is_stored_as_a_whole() -> None:
    found = Loose(title="a", more=[1]).save()
    found.id = None
    found.save()
    assert [(each["title"], each["more"]) for each in raw(Loose).find()] == [("a", [1])] * 2


def test_a_new_document_that_was_given_its_key_is_stored_as_a_whole() -> None:
    fresh = Parcel(code="a", weight=1)
    fresh.id = ObjectId("6561f7a5c2f4f0a1b2c3d4e5")
    fresh.save()
    assert raw(Parcel).find_one({"_id": fresh.id})["weight"] == 1


def test_a_new_document_is_not_inserted_over_another_one() -> None:
    found = parcel()
    with pytest.raises(NotUniqueError):
        Parcel(id=found.id, code="b", weight=1).save(force_insert=True)


def test_a_document_of_mongomock_that_is_gone_is_told_too(shared: Settings) -> None:
    db.disconnect_all()
    try:
        db.connect_all(Settings(databases={"default": "mongomock://stale"}))
        found = Named(name="a", size=3).save()
        raw(Named).delete_many({})
        found.size = 4
        with pytest.raises(StaleDocumentError):
            found.save()
        assert raw(Named).count_documents({}) == 0
    finally:
        db.disconnect_all()
        db.connect_all(shared)
