"""Queries that go past MongoEngine's translation are those that it would send."""

from __future__ import annotations

from typing import Any

import mongoengine as me
import pytest
from bson import ObjectId
from mongoengine.queryset import transform
from mongoengine.queryset.visitor import Q
from pymongo import ReadPreference

from datalayer import Settings, db
from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.engine.queries.queryset_cursor import plain_query

KEY = ObjectId("6561f7a5c2f4f0a1b2c3d4e5")


class Room(EmbeddedDocument):
    number = me.IntField(db_field="n")
    colour = me.StringField()
    exists = me.StringField()


class Floor(EmbeddedDocument):
    rooms = me.EmbeddedDocumentListField(Room)
    lobby = me.EmbeddedDocumentField(Room, db_field="l")
    plan = me.DictField()


class Street(Document):
    name = me.StringField()


class House(Document):
    name = me.StringField()
    year = me.IntField(db_field="y")
    ground = me.EmbeddedDocumentField(Floor, db_field="g")
    floors = me.ListField(me.EmbeddedDocumentField(Floor))
    owner = me.ReferenceField("House")
    street = me.ReferenceField(Street, db_field="s")
    corner = me.ReferenceField(Street, dbref=True)
    tags = me.ListField(me.StringField())
    price = me.DecimalField()


PLAIN: list[dict[str, Any]] = [
    {"name": "Ash"},
    {"year": 1900, "name": "Ash"},
    {"pk": KEY},
    {"id": KEY},
    {"street": KEY},
    {"owner": KEY},
    {"ground__lobby__number": 1},
    {"ground__lobby__colour": "big"},
    {"ground__rooms__number": 1},
    {"floors__lobby__number": 1},
    {"floors__rooms__colour": "small", "year": 1900},
]
OTHERS: list[dict[str, Any]] = [
    {"name": 1},
    {"year": "1900"},
    {"name__contains": "A"},
    {"year__gt": 1900},
    {"year__not__gt": 1900},
    {"ground__lobby__number__in": [1]},
    {"ground__lobby__exists": True},
    {"floors__0__lobby__number": 1},
    {"ground__plan__door": "oak"},
    {"tags": "old"},
    {"price": 1},
    {"corner": KEY},
    {"street": Street(id=KEY)},
    {"street": "6561f7a5c2f4f0a1b2c3d4e5"},
    {"street__in": [KEY]},
    {"ground__lobby": None},
    {"__raw__": {"y": 1}},
    {"pk": KEY, "id": ObjectId()},
    {},
]


@pytest.mark.parametrize("asked", PLAIN, ids=str)
def test_a_plain_query_is_what_mongoengine_would_ask(asked: dict[str, Any]) -> None:
    assert plain_query(House, Q(**asked)) == transform.query(House, **asked)


@pytest.mark.parametrize("asked", OTHERS, ids=lambda asked: ",".join(asked) or "nothing")
def test_any_other_query_is_mongoengines_or_the_same(asked: dict[str, Any]) -> None:
    found = plain_query(House, Q(**asked))
    assert found is None or found == transform.query(House, **asked)


@pytest.mark.parametrize(
    "name", ["unknown", "ground__unknown", "name__colour", "ground__lobby__x__y"]
)
def test_unknown_fields_are_left_to_mongoengine(name: str) -> None:
    assert plain_query(House, Q(**{name: "Ash"})) is None


@pytest.fixture
def houses(uri: str) -> Any:
    with db.connected(Settings(databases={"default": uri})):
        for number in range(3):
            floor = Floor(lobby=Room(number=number))
            House(name=f"{number}", year=1900 - number, ground=floor, floors=[floor]).save()
        yield House.objects


def names(queryset: Any) -> list[str]:
    return [each.name for each in queryset]


def test_documents_are_found_by_what_is_embedded(houses: Any) -> None:
    assert houses(ground__lobby__number=1).first().name == "1"
    assert names(houses(floors__lobby__number=2)) == ["2"]


@pytest.mark.parametrize(
    ("refined", "expected"),
    [
        (lambda all_: all_.order_by("year"), ["2", "1", "0"]),
        (lambda all_: all_.skip(1), ["1", "2"]),
        (lambda all_: all_.limit(2), ["0", "1"]),
        (lambda all_: all_.where("this.y == 1899"), ["1"]),
        (lambda all_: all_.batch_size(1).hint([("_id", 1)]).comment("all"), ["0", "1", "2"]),
        (lambda all_: all_.read_preference(ReadPreference.PRIMARY), ["0", "1", "2"]),
    ],
)
def test_what_was_set_is_asked_for(houses: Any, refined: Any, expected: list[str]) -> None:
    assert names(refined(houses)) == expected
    assert refined(houses).first().name == expected[0]


def test_only_the_queryset_that_asked_for_fewer_fields_gets_fewer(houses: Any) -> None:
    every = houses.all()
    fewer = every.only("name")
    assert every.first().year == 1900
    assert "year" not in fewer.first().to_mongo()
    assert every.clone().first().year == 1900
