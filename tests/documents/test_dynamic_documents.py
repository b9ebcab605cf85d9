"""Dynamic documents: what the base classes add holds for further fields, too."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import mongoengine as me
import pytest
from fresh_databases import connected, model_registry

import datalayer
from datalayer import Settings, StaleDocumentError, db, documents, models
from datalayer.documents import (
    AnalyticsDocument,
    BusinessDocument,
    Document,
    DynamicAnalyticsDocument,
    DynamicBusinessDocument,
    DynamicDocument,
    DynamicEmbeddedDocument,
    EmbeddedDocument,
    SecretField,
)
from datalayer.documents.engine import reason_against
from datalayer.embedded import EmbeddedMongo


class Fixed(EmbeddedDocument):
    n = me.IntField()


class Loose(DynamicEmbeddedDocument):
    n = me.IntField()


class Fields:
    """What each of the models below has; ``wild`` and ``more`` are in none of them."""

    name = me.StringField(required=True, max_length=5)
    n = me.IntField()
    token = SecretField()
    fixed = me.EmbeddedDocumentField(Fixed)
    loose = me.EmbeddedDocumentField(Loose)


def indexed(collection: str) -> dict[str, Any]:
    return {"collection": collection, "indexes": ["n"]}


with model_registry():

    class Business(Fields, DynamicBusinessDocument):
        meta = indexed("business")

    class Analytics(Fields, DynamicAnalyticsDocument):
        meta = indexed("analytics")

    class Mixed(Fields, BusinessDocument, me.DynamicDocument):
        meta = indexed("mixed")

    class MixedAnalytics(Fields, AnalyticsDocument, me.DynamicDocument):
        meta = indexed("mixed_analytics")

    class Reversed(Fields, me.DynamicDocument, BusinessDocument):
        meta = indexed("reversed")

    class Elsewhere(Fields, DynamicDocument):
        meta = {**indexed("elsewhere"), "db_alias": "archive"}


STAMPED: tuple[Any, ...] = (Business, Analytics, Mixed, MixedAnalytics, Reversed)
MODELS: tuple[Any, ...] = (*STAMPED, Elsewhere)
EACH = pytest.mark.parametrize("model", [Business, Mixed], ids=["base class", "mixed"])
EACH_STAMPED = pytest.mark.parametrize("model", STAMPED, ids=lambda model: model.__name__)


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo) -> Iterator[Settings]:
    uris = {
        alias: mongod.uri_for(f"test_dynamic_{alias}")
        for alias in ("default", "database1", "archive")
    }
    with model_registry(*MODELS, Fixed, Loose), connected(Settings(databases=uris)) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(shared: Settings) -> None:
    for model in MODELS:
        model._get_collection().delete_many({})


# The classes


def test_they_are_exported_like_the_other_base_classes() -> None:
    names = ("DynamicAnalyticsDocument", "DynamicBusinessDocument")
    for name in (*names, "DynamicDocument", "DynamicEmbeddedDocument"):
        assert getattr(models, name) is getattr(documents, name)
    assert [getattr(datalayer, name) for name in names] == [getattr(documents, n) for n in names]
    assert {*names} <= {*datalayer.__all__}


def test_each_is_a_base_class_of_datalayers_and_dynamic() -> None:
    assert issubclass(DynamicBusinessDocument, (BusinessDocument, me.DynamicDocument))
    assert issubclass(DynamicAnalyticsDocument, (AnalyticsDocument, me.DynamicDocument))
    assert issubclass(DynamicDocument, Document)
    assert issubclass(DynamicEmbeddedDocument, EmbeddedDocument)


@pytest.mark.parametrize(
    ("model", "alias"),
    [
        (Business, "default"), (Analytics, "database1"), (Mixed, "default"),
        (MixedAnalytics, "database1"), (Reversed, "default"), (Elsewhere, "archive"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_each_is_in_its_database_with_its_indexes(model: Any, alias: str) -> None:
    model(name="a").save()
    collection = db.get(alias).client[db.get(alias).name][model._meta["collection"]]
    assert collection.count_documents({}) == 1
    assert "n_1" in collection.index_information()


@EACH
def test_the_class_is_read_by_mongoengine_and_says_so_and_its_parts_are_fast(model: Any) -> None:
    assert "dynamic" in str(reason_against(model))
    assert reason_against(Fixed) is None


# Fields that nobody has named


@EACH
def test_further_fields_are_kept(model: Any) -> None:
    model(name="a", wild=1, more=[{"b": 1}]).save()
    read = model.objects.get(wild=1)
    assert (read.wild, read.more, read.n) == (1, [{"b": 1}], None)
    assert model.objects(more__b=1).count() == 1
    assert read.to_mongo().to_dict().keys() >= {"name", "wild", "more"}


@EACH
def test_changes_inside_them_are_written_alone(model: Any) -> None:
    model(name="a", wild={"deep": [1, {"x": 1}]}).save()
    read = model.objects.get()
    read.wild["deep"][1]["x"] = 2
    assert read._get_changed_fields() == ["wild.deep.1.x"]
    read.save()
    read.more = [1]
    read.save()
    del read.wild
    read.save()
    assert (model.objects.get().more, hasattr(model.objects.get(), "wild")) == ([1], False)


@EACH
def test_embedded_documents_may_have_them(model: Any) -> None:
    model(name="a", loose=Loose(n=1, wild="x"), fixed=Fixed(n=2)).save()
    read = model.objects.get()
    read.loose.wild = "y"
    read.loose.more = [1]
    assert {*read._get_changed_fields()} == {"loose.wild", "loose.more"}
    read.save()
    assert (model.objects.get().loose.wild, model.objects.get().loose.more) == ("y", [1])


@EACH
def test_copies_have_them(model: Any) -> None:
    made = model(name="a", wild=[1]).save()
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (type(other), other.wild, other.pk) == (model, [1], made.pk)
    assert model.from_json(made.to_json()).wild == [1]


# What the base classes add


@EACH_STAMPED
def test_time_stamps_are_kept(model: Any) -> None:
    made = model(name="a", wild=1).save()
    stamped = made.updated_at
    assert made.created_at == stamped
    for change in (
        lambda: made.update(wild=2),
        lambda: model.objects.update(set__wild=3),
        lambda: model.objects.modify(set__wild=4),
        lambda: setattr(made.reload(), "wild", 5) or made.save(),
    ):
        model._get_collection().update_one({}, {"$set": {"updated_at": stamped}})
        change()
        assert model.objects.get().updated_at > stamped
    inserted = model.objects.insert([model(name="b", wild=1)])[0]
    assert inserted.created_at is not None


@EACH
def test_named_fields_are_validated_and_converted_as_ever(model: Any) -> None:
    assert model(name="a", n="5").save().n == 5
    for write in (model.save, lambda made: model.objects.insert([made])):
        with pytest.raises(me.ValidationError):
            write(model(name="too long", wild=1))


@EACH
@pytest.mark.parametrize("unfit", [{"a": {1, 2}}, {"$a": 1}, object()], ids=["set", "$", "object"])
def test_what_cannot_be_stored_is_refused_before_anything_is_sent(model: Any, unfit: Any) -> None:
    with pytest.raises(me.ValidationError):
        model(name="a", wild=unfit).save()
    assert model.objects.count() == 0


@EACH
def test_secrets_stay_out_of_json(model: Any) -> None:
    made = model(name="a", token="hush", wild=1).save()
    shown = made.to_json() + model.objects.to_json()
    assert ("hush" in shown, '"wild": 1' in shown) == (False, True)


@EACH
def test_a_rollback_restores_the_document(model: Any) -> None:
    made = model(name="a", wild=1).save()

    def fail() -> None:
        with db.transaction(model._meta["db_alias"]):
            made.wild, made.more = 2, [1]
            made.save()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (made.wild, hasattr(made, "more"), made._get_changed_fields()) == (1, False, [])
    assert model.objects.get().wild == 1


@EACH
def test_saving_one_that_is_gone_leaves_no_fragment(model: Any) -> None:
    made = model(name="a", wild=1).save()
    model.objects.delete()
    made.wild = 2
    with pytest.raises(StaleDocumentError):
        made.save()
    assert model.objects.count() == 0


@EACH
def test_one_loaded_in_part_fetches_what_its_class_names(model: Any) -> None:
    model(name="a", n=1, wild=1).save()
    part = model.objects.only("wild").get()
    assert (part.wild, part.name) == (1, "a")
    part.wild = 2
    part.save()
    assert (model.objects.get().n, model.objects.get().wild) == (1, 2)


# Data from outside


@EACH
def test_input_sets_what_is_allowed_and_nothing_else(model: Any) -> None:
    data = {"name": "a", "wild": "x", "is_admin": True, "more": 1}
    made = model.from_input(data, allow=["name", "wild"])
    assert made.to_mongo().to_dict().keys() & {"name", "wild", "is_admin", "more"} == {
        "name", "wild",
    }  # fmt: skip
    made.update_from_input({"wild": "y", "more": 2}, allow=["wild"])
    assert (made.wild, hasattr(made, "more")) == ("y", False)


@EACH
@pytest.mark.parametrize("value", [{"$ne": None}, {"a": 1}, [1]], ids=["operator", "map", "list"])
def test_input_for_further_fields_is_a_single_value(model: Any, value: Any) -> None:
    with pytest.raises(me.ValidationError) as caught:
        model.from_input({"name": "a", "wild": value}, allow=["name", "wild"])
    assert list(caught.value.errors) == ["wild"]
    with pytest.raises(me.ValidationError):
        db.safe_filter(model, {"wild": value}, allow=["wild"])


@pytest.mark.parametrize("name", ["_cls", "_data", "save", "objects", "$where", "wild.deep", ""])
def test_no_part_of_the_class_is_a_further_field(name: str) -> None:
    with pytest.raises(me.FieldDoesNotExist):
        Business.from_input({name: 1}, allow=[name])


def test_a_class_that_is_not_dynamic_takes_none() -> None:
    with model_registry():
        plain = type(BusinessDocument)("Plain", (BusinessDocument,), {"name": me.StringField()})
        with pytest.raises(me.FieldDoesNotExist):
            plain.from_input({"wild": 1}, allow=["wild"])
