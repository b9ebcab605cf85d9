"""A schema taken apart: each rule by itself, and all of them as much as the whole."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from bson import Decimal128, Int64, ObjectId
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer.embedded import EmbeddedMongo
from datalayer.schema import counting
from datalayer.schema.counting import count_broken
from datalayer.schema.rules import rules_of, split_unknown
from datalayer.schema.together import together

LINE = {
    "bsonType": "object",
    "required": ["sku"],
    "additionalProperties": False,
    "properties": {
        "sku": {"bsonType": "string", "minLength": 2},
        "count": {"bsonType": ["int", "long"], "minimum": 0, "exclusiveMinimum": True},
    },
}
ORDER = {
    "bsonType": "object",
    "required": ["_id", "email"],
    "additionalProperties": False,
    "properties": {
        "_id": {},
        "email": {"bsonType": "string", "pattern": "@", "maxLength": 5},
        "state": {"enum": ["new", "paid", None]},
        "lines": {"bsonType": "array", "maxItems": 3, "items": LINE},
        "prices": {"bsonType": "object", "additionalProperties": {"bsonType": "decimal"}},
        "address": {
            "anyOf": [
                {"bsonType": "null"},
                {"bsonType": "object", "properties": {"city": {"bsonType": "string"}}},
            ]
        },
    },
}


def of_class(cls: str, **properties: Any) -> dict[str, Any]:
    return {
        **({"required": ["_cls"]} if cls != "Part" else {}),
        "additionalProperties": False,
        "properties": {"_id": {}, "_cls": {"enum": [cls]}, **properties},
    }


ANIMALS = {
    "bsonType": "object",
    "anyOf": [
        of_class("Animal", name={"bsonType": "string"}),
        of_class("Animal.Dog", name={"bsonType": "string"}, barks={"bsonType": "bool"}),
        of_class("Animal.Cat", name={"bsonType": "string"}, lives={"maximum": 9}),
    ],
}

PARTS = {
    "bsonType": "object",
    "properties": {
        "lines": {
            "bsonType": ["array", "null"],
            "items": {
                "bsonType": ["object", "null"],
                "anyOf": [
                    of_class("Part", sku={"bsonType": "string"}),
                    of_class("Part.Screw", sku={"bsonType": "string"}, count={"minimum": 1}),
                ],
            },
        }
    },
}


@pytest.fixture
def documents(mongod: EmbeddedMongo, database_name: str) -> Iterator[Collection[Any]]:
    with MongoClient[Any](mongod.uri) as client:
        yield client[database_name].documents


def names(schema: Any) -> set[tuple[str, str]]:
    return {(rule.path, rule.name) for rule in rules_of(schema)}


def broken(documents: Collection[Any], schema: Any, *stored: Any) -> list[tuple[Any, ...]]:
    """Path, name and count of what ``stored`` breaks, once it is all there is."""
    documents.delete_many({})
    documents.insert_many([dict(each) for each in stored])
    found = count_broken(documents, rules_of(schema))
    return [(each.rule.path, each.rule.name, each.documents) for each in found]


def test_each_keyword_is_a_rule_at_its_path() -> None:
    assert names(ORDER) == {
        ("_id", "missing"),
        ("email", "missing"),
        ("*", "unknown_field"),
        ("email", "wrong_type"),
        ("email", "wrong_pattern"),
        ("email", "too_long"),
        ("state", "not_a_choice"),
        ("lines", "wrong_type"),
        ("lines", "too_many"),
        ("lines[]", "wrong_type"),
        ("lines[].sku", "missing"),
        ("lines[].*", "unknown_field"),
        ("lines[].sku", "wrong_type"),
        ("lines[].sku", "too_short"),
        ("lines[].count", "wrong_type"),
        ("lines[].count", "too_small"),
        ("prices", "wrong_type"),
        ("prices.*", "wrong_type"),
        ("address", "wrong_type"),
        ("address.city", "wrong_type"),
    }


def test_a_limit_keeps_the_word_that_it_is_excluded() -> None:
    limit = next(rule for rule in rules_of(ORDER) if rule.name == "too_small")
    inner = {"properties": {"count": {"minimum": 0, "exclusiveMinimum": True}}}
    assert limit.schema == {"properties": {"lines": {"items": inner}}}


def test_what_a_schema_says_of_several_classes_alike_is_one_rule() -> None:
    assert [rule.path for rule in rules_of(ANIMALS)].count("name") == 1


def test_alternatives_that_can_not_be_told_apart_are_one_rule() -> None:
    schema = {"properties": {"size": {"anyOf": [{"minimum": 3}, {"enum": [1]}]}}}
    assert names(schema) == {("size", "no_alternative")}


def test_documents_of_a_class_are_held_to_the_rules_of_their_class(
    documents: Collection[Any],
) -> None:
    found = broken(
        documents,
        ANIMALS,
        {"_cls": "Animal.Dog", "barks": True},
        {"_cls": "Animal.Cat", "barks": True},
        {"_cls": "Animal.Cat", "lives": 10},
        {"_cls": "Animal.Bird"},
        {"name": "nobody"},
    )
    assert sorted(found) == [
        ("_cls", "missing", 1),
        ("_cls", "not_a_choice", 1),
        ("barks", "unknown_field", 1),
        ("lives", "too_large", 1),
    ]


def test_unknown_fields_are_told_by_their_names(documents: Collection[Any]) -> None:
    found = broken(
        documents,
        ORDER,
        {"email": "a@b", "colour": 1},
        {"email": "a@b", "colour": 1, "lines": [{"sku": "aa", "weight": 3}, {"sku": "bb"}]},
    )
    assert found == [("colour", "unknown_field", 2), ("lines[].weight", "unknown_field", 1)]


def test_unknown_fields_may_have_any_name(documents: Collection[Any]) -> None:
    odd = [{"email": "a@b", name: 1} for name in ("a.b", "$c", "", "x[]")]
    assert sorted(broken(documents, ORDER, *odd)) == [
        ("$c", "unknown_field", 1),
        ("*", "unknown_field", 2),  # no schema can name the others
        ("x[]", "unknown_field", 1),
    ]


def test_a_field_that_a_pattern_allows_is_not_unknown() -> None:
    schema = {"patternProperties": {"^x_": {}}, "additionalProperties": False}
    (rule,) = rules_of(schema)
    assert [each.path for each in split_unknown(rule, ["x_1", "y"])] == ["y", "*"]


def test_a_document_without_a_fault_breaks_nothing(documents: Collection[Any]) -> None:
    good = {
        "email": "a@b",
        "state": None,
        "lines": [{"sku": "aa", "count": Int64(1)}],
        "prices": {"eur": Decimal128("1.5")},
        "address": {"city": "Rome"},
    }
    assert broken(documents, ORDER, good) == []


def test_up_to_five_ids_are_given(documents: Collection[Any]) -> None:
    documents.insert_many([{"_id": number, "email": 7} for number in range(9)])
    (found,) = count_broken(documents, rules_of(ORDER))
    assert (found.documents, len(found.ids)) == (9, 5)
    assert set(found.ids) <= set(range(9))


@pytest.mark.parametrize("most_samples", [1, 4])
def test_more_documents_than_a_sample_are_counted_one_and_all(
    documents: Collection[Any], most_samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_SAMPLE", 1000)
    monkeypatch.setattr(counting, "_MOST_SAMPLES", most_samples)
    documents.insert_many(
        [
            {"email": "a@b", "colour": 1, **({"state": "lost"} if number % 500 == 0 else {})}
            for number in range(2500)
        ]
        + [{"state": "new"} for _ in range(1200)]
    )
    found = count_broken(documents, rules_of(ORDER))
    assert {(each.rule.path, each.rule.name): each.documents for each in found} == {
        ("email", "missing"): 1200,
        ("state", "not_a_choice"): 5,
        ("colour", "unknown_field"): 2500,
    }


VALUES: list[Any] = [
    None, "new", "a@b", "too long@", "x", 0, 1, Int64(7), 2.5, Decimal128("3"), True,
    datetime(2024, 1, 1), ObjectId(), [], {},
]  # fmt: skip


def at_random(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth > 2 or kind < 0.5:
        return chance.choice(VALUES)
    if kind < 0.7:
        return [at_random(chance, depth + 1) for _ in range(chance.randrange(5))]
    fields = ["sku", "count", "city", "eur", "_cls", "name", "lives"]
    found = {name: at_random(chance, depth + 1) for name in chance.sample(fields, 2)}
    return {**found, "_cls": "Part.Screw"} if chance.random() < 0.3 else found


def order_at_random(chance: random.Random) -> dict[str, Any]:
    fields = ["email", "state", "lines", "prices", "address", "_cls", "name", "barks", "lives"]
    document = {name: at_random(chance) for name in chance.sample(fields, chance.randrange(5))}
    if chance.random() < 0.5:
        document["_cls"] = chance.choice(["Animal", "Animal.Dog", "Animal.Cat", "Animal.Bird"])
    if chance.random() < 0.5:
        document["email"] = "a@b"
    if chance.random() < 0.5:
        document["lines"] = [at_random(chance, 1) for _ in range(chance.randrange(4))]
    return document


@pytest.mark.parametrize("schema", [ORDER, ANIMALS, PARTS], ids=["nested", "classes", "parts"])
def test_rules_are_put_together_again_to_the_same(documents: Collection[Any], schema: Any) -> None:
    chance = random.Random(22)
    documents.insert_many([order_at_random(chance) for _ in range(1500)])
    rules = rules_of(schema)
    for _ in range(10):
        some = chance.sample(rules, len(rules) // 2)
        separately = documents.find({"$or": [rule.broken for rule in some]}, {"_id": 1})
        schema_of_some = together(rule.schema for rule in some)
        at_once = documents.find({"$nor": [{"$jsonSchema": schema_of_some}]}, {"_id": 1})
        assert {each["_id"] for each in at_once} == {each["_id"] for each in separately}


def test_all_rules_together_look_at_each_field_once() -> None:
    whole = together(rule.schema for rule in rules_of(ORDER))
    assert "allOf" not in whole
    assert whole["properties"]["lines"] == ORDER["properties"]["lines"]


@pytest.mark.parametrize("schema", [ORDER, ANIMALS, PARTS], ids=["nested", "classes", "parts"])
def test_a_document_fits_the_whole_exactly_if_it_keeps_all_rules(
    documents: Collection[Any], schema: Any
) -> None:
    chance = random.Random(21)
    documents.insert_many([order_at_random(chance) for _ in range(3000)])
    whole = {
        each["_id"] for each in documents.find({"$nor": [{"$jsonSchema": schema}]}, {"_id": 1})
    }
    by_rule: set[Any] = set()
    for rule in rules_of(schema):
        by_rule |= {each["_id"] for each in documents.find(rule.broken, {"_id": 1})}
    assert by_rule == whole
    assert 100 < len(whole) < 2990
