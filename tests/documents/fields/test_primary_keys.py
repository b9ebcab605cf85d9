"""Keys that BSON can't hold as documents have them are found under every form, by documents, by
references and after a change of the database."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import bson
import pytest
from bson import DBRef
from fresh_databases import model_registry
from mongoengine import fields as me
from mongoengine.errors import ValidationError

from datalayer import db
from datalayer.connections.registry import database
from datalayer.documents import (
    BusinessDocument,
    MoneyField,
    NormalizedEmailField,
    UTCDateTimeField,
)
from datalayer.documents.fields.bson_limits import ENCODING
from datalayer.settings import Settings


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


KEY = uuid.UUID("4a3c1c80-76ec-4d3c-8e0c-8a4fd63ed0f5")
# The field, a key as documents have it, and other forms of the same.
KINDS: dict[str, tuple[Callable[..., Any], Any, list[Any]]] = {
    "UUIDAsText": (lambda **k: me.UUIDField(binary=False, **k), KEY, [str(KEY), str(KEY).upper()]),
    "UUID": (me.UUIDField, KEY, [str(KEY)]),
    "Enum": (lambda **k: me.EnumField(Colour, **k), Colour.RED, ["red"]),
    "Money": (MoneyField, Decimal("2.50"), ["2.50"]),
    "Decimal128": (me.Decimal128Field, Decimal("2.50"), ["2.50"]),
    "Decimal": (lambda **k: me.DecimalField(precision=2, **k), Decimal("1.50"), ["1.50"]),
    "DecimalAsText": (
        lambda **k: me.DecimalField(precision=2, force_string=True, **k),
        Decimal("1.50"),
        ["1.50"],
    ),
    "Date": (me.DateField, date(2024, 1, 2), ["2024-01-02"]),
    "Moment": (UTCDateTimeField, UTCDateTimeField().to_python("2024-01-02"), ["2024-01-02"]),
    "Email": (NormalizedEmailField, "ada@example.org", [" Ada@Example.org"]),
    "Whole": (me.IntField, 7, ["7", 7.0]),
}

with model_registry():
    KEYED: dict[str, Any] = {
        name: type(
            f"Keyed{name}",
            (BusinessDocument,),
            {
                "key": make(primary_key=True),
                "count": me.IntField(),
                "__module__": __name__,
                "meta": {"auto_create": False},
            },
        )
        for name, (make, _, _) in KINDS.items()
    }
    HOLDERS: dict[str, Any] = {
        name: type(
            f"Holds{name}",
            (BusinessDocument,),
            {
                "one": me.ReferenceField(model),
                "lazy": me.LazyReferenceField(model),
                "generic": me.GenericReferenceField(),
                "generic_lazy": me.GenericLazyReferenceField(),
                "cached": me.CachedReferenceField(model, fields=["count"]),
                "several": me.ListField(me.ReferenceField(model)),
                "by_name": me.MapField(me.ReferenceField(model)),
                "as_dbref": me.ReferenceField(model, dbref=True),
                "__module__": __name__,
            },
        )
        for name, model in KEYED.items()
    }


MODELS = (*KEYED.values(), *HOLDERS.values())


@pytest.fixture(autouse=True)
def settings(shared: Settings) -> Settings:
    db.connect_all(shared)
    return shared


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    name: str = request.param
    yield name
    KEYED[name]._get_collection().delete_many({})
    HOLDERS[name]._get_collection().delete_many({})


def forms(kind: str) -> list[Any]:
    _, key, others = KINDS[kind]
    return [key, *others]


def test_a_document_is_found_under_every_form_of_its_key(kind: str) -> None:
    model = KEYED[kind]
    model(key=forms(kind)[-1], count=1).save()
    (raw,) = database("default")[model._get_collection_name()].find()
    for form in forms(kind):
        assert model.objects.get(pk=form).key == forms(kind)[0]
        assert model.objects.with_id(form).count == 1
        assert model.objects(pk__in=[form]).count() == 1
        assert model.objects(key__ne=form).count() == 0
        assert [each.count for each in model.objects.in_bulk([form]).values()] == [1]
    assert model.objects.in_bulk([forms(kind)[0]])[forms(kind)[0]].count == 1
    reference = model(key=forms(kind)[0]).to_dbref()
    assert bson.encode({"": reference.id}, codec_options=ENCODING) == bson.encode(
        {"": raw["_id"]}, codec_options=ENCODING
    )


def test_a_document_is_changed_reloaded_and_deleted_by_its_key(kind: str) -> None:
    model = KEYED[kind]
    model(key=forms(kind)[-1], count=1).save()
    document = model.objects.get()
    document.count = 2
    document.save()
    document.update(inc__count=1)
    document.reload()
    assert document.modify({"pk": forms(kind)[-1]}, inc__count=1)
    assert [each.count for each in model.objects] == [4]
    document.delete()
    assert model.objects.count() == 0


def test_references_hold_the_stored_key_and_find_it_again(kind: str) -> None:
    model, holder = KEYED[kind], HOLDERS[kind]
    target = model(key=forms(kind)[0], count=1).save()
    stored = model._get_collection().find_one()["_id"]
    made = {
        **dict.fromkeys(("one", "lazy", "generic", "cached", "as_dbref"), target),
        "several": [target],
        "by_name": {"a": target},
    }
    holder(**made).save()
    raw = holder._get_collection().find_one()
    assert [raw["one"], raw["lazy"], raw["several"], raw["by_name"]] == [
        stored,
        stored,
        [stored],
        {"a": stored},
    ]
    assert raw["generic"]["_ref"] == raw["as_dbref"] == DBRef(model._get_collection_name(), stored)
    assert raw["cached"]["_id"] == stored
    loaded = holder.objects.get()
    found = (
        loaded.one,
        loaded.lazy.fetch(),
        loaded.generic,
        loaded.cached,
        loaded.as_dbref,
        loaded.several[0],
        loaded.by_name["a"],
    )
    assert [each.count for each in found] == [1] * len(found)
    loaded.generic_lazy = loaded.lazy
    loaded.save()
    assert holder.objects.get().generic_lazy.fetch().count == 1


def test_a_filter_and_an_update_take_every_form_for_a_reference(kind: str) -> None:
    model, holder = KEYED[kind], HOLDERS[kind]
    target = model(key=forms(kind)[0], count=1).save()
    holder(one=target).save()
    raw = holder._get_collection().find_one()
    for form in [*forms(kind), target, target.to_dbref(), holder.objects.no_dereference()[0].one]:
        assert holder.objects(one=form).count() == 1
        assert holder.objects(one__in=[None, form]).count() == 1
        holder.objects.update(unset__one=1)
        holder.objects.update(set__one=form)
        assert holder._get_collection().find_one()["one"] == raw["one"]
        holder._get_collection().update_many({}, {"$unset": {"one": 1}})
        unset = holder.objects.get()
        unset.one = form
        unset.save()
        assert holder._get_collection().find_one()["one"] == raw["one"]
    assert holder(one=forms(kind)[-1]).one.count == 1


def test_another_database_has_the_document_under_the_same_key(kind: str) -> None:
    model = KEYED[kind]
    model(key=forms(kind)[-1], count=1).save()
    document = model.objects.get().switch_db("database1")
    document.save()
    name = model._get_collection_name()
    assert (
        database("database1")[name].find_one()["_id"]
        == database("default")[name].find_one()["_id"]
    )
    database("database1").drop_collection(name)


def test_what_is_no_key_is_refused() -> None:
    model = KEYED["UUIDAsText"]
    for look in (
        lambda: model.objects.in_bulk(["no key"]),
        lambda: model.objects.with_id("no key"),
        lambda: model.objects(pk__in=["no key"]).delete(),
    ):
        with pytest.raises(ValidationError, match="key"):
            look()
