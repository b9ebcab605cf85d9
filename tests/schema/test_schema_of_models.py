"""The schemas of models, taken apart into rules: whatever a document breaks of the whole, it
breaks of the rules, and of the rules put together again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from fresh_databases import model_registry
from mongoengine.fields import (
    CachedReferenceField,
    DateTimeField,
    Decimal128Field,
    DictField,
    DynamicField,
    EmailField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FloatField,
    GenericEmbeddedDocumentField,
    GenericReferenceField,
    IntField,
    ListField,
    MapField,
    PointField,
    ReferenceField,
    StringField,
    URLField,
    UUIDField,
)
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer.documents import BusinessDocument, EmbeddedDocument
from datalayer.documents.json_schema import json_schema
from datalayer.embedded import EmbeddedMongo
from datalayer.schema.rules import rules_of
from datalayer.schema.together import together


@pytest.fixture
def documents(mongod: EmbeddedMongo, database_name: str) -> Iterator[Collection[Any]]:
    with model_registry(), MongoClient[Any](mongod.uri) as client:
        yield client[database_name].documents


def model() -> tuple[Any, list[dict[str, Any]]]:
    """A tree of models with fields of all kinds, and documents of theirs."""

    class Part(EmbeddedDocument):
        sku = StringField(required=True, min_length=2)
        size = IntField(min_value=1)
        meta = {"allow_inheritance": True}

    class Screw(Part):
        length = FloatField(max_value=9)

    class Note(EmbeddedDocument):
        text = StringField()

    class Item(BusinessDocument):
        name = StringField(required=True, max_length=8, regex="[a-z]+")
        state = StringField(choices=("new", "old"))
        email = EmailField()
        url = URLField()
        key = UUIDField()
        at = DateTimeField()
        amount = Decimal128Field(min_value=Decimal(1))
        place = PointField()
        part = EmbeddedDocumentField(Part)
        parts = EmbeddedDocumentListField(Part, max_length=3)
        note = GenericEmbeddedDocumentField(choices=(Note, Screw))
        by_name = MapField(EmbeddedDocumentField(Part))
        loose = DictField()
        anything = DynamicField()
        tags = ListField(ListField(StringField(max_length=3)))
        other = ReferenceField("self")
        cached = CachedReferenceField("self")
        generic = GenericReferenceField()
        meta = {"allow_inheritance": True, "collection": "items"}

    class Special(Item):
        weight = IntField(required=True)

    one: dict[str, Any] = {
        "name": "abc",
        "state": "new",
        "part": Part(sku="aa", size=1),
        "parts": [Screw(sku="bb", length=2), Part(sku="cc")],
        "note": Note(text="x"),
        "by_name": {"first": Screw(sku="dd")},
        "loose": {"a": 1},
        "tags": [["a"], ["bcd"]],
        "amount": Decimal(3),
        "place": [1.0, 2.0],
        "at": datetime(2024, 1, 1),
        "other": ObjectId(),
    }
    made = [Item(**one), Special(**one, weight=2), Item(name="x"), Special(name="y", weight=1)]
    return Item, [dict(each.to_mongo()) for each in made]


VALUES: list[Any] = [
    None, "new", "x", "a long text", "", 0, 1, Int64(7), 2.5, Decimal128("3"), Decimal128("0"),
    True, datetime(2024, 1, 1), ObjectId(), [], {}, [["toolong"]], {"_cls": "Part"},
    {"_cls": "Part.Screw", "sku": "aa", "length": 10.0}, {"_cls": "Note", "text": 3}, [[1, 2]],
]  # fmt: skip


def changed(chance: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    """The document with a fault somewhere, or two."""
    document = deepcopy(document)
    document["_id"] = ObjectId()
    for _ in range(chance.randrange(1, 3)):
        place = document
        while inner := [each for each in place.values() if isinstance(each, dict) and each]:
            if chance.random() < 0.4:
                break
            place = chance.choice(inner)
        name = chance.choice(list(place))
        if name == "_id":
            continue
        fault = chance.random()
        if fault < 0.2:
            del place[name]
        elif fault < 0.35:
            place["unknown"] = chance.choice(VALUES)
        elif fault < 0.45 and isinstance(place[name], list):
            place[name] = [*place[name], chance.choice(VALUES)]
        else:
            place[name] = chance.choice(VALUES)
    return document


def test_a_document_breaks_the_whole_exactly_if_it_breaks_a_rule(
    documents: Collection[Any],
) -> None:
    kind, good = model()
    schema = json_schema(kind)
    chance = random.Random(23)
    documents.insert_many([changed(chance, chance.choice(good)) for _ in range(2000)])
    rules = rules_of(schema)

    def ids(broken: Any) -> set[Any]:
        return {each["_id"] for each in documents.find(broken, {"_id": 1})}

    whole = ids({"$nor": [{"$jsonSchema": schema}]})
    assert 500 < len(whole) < 1950
    assert set().union(*(ids(rule.broken) for rule in rules)) == whole
    assert ids({"$nor": [{"$jsonSchema": together(rule.schema for rule in rules)}]}) == whole


def test_what_is_meant_for_which_class_is_always_known(documents: Collection[Any]) -> None:
    kind, _ = model()
    alternatives = {each.path for each in rules_of(json_schema(kind)) if "Of" in each.keyword}
    assert alternatives == {"generic"}  # a class and a reference, or a reference alone
