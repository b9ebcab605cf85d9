"""Documents, querysets and pages in the JSON of Flask applications."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from bson import Binary, DBRef, Decimal128, ObjectId
from flask import Flask, jsonify
from flask.json.provider import DefaultJSONProvider, JSONProvider
from fresh_databases import connected, model_registry, settings_for
from mongoengine.base import LazyReference
from mongoengine.fields import (
    BinaryField,
    ComplexDateTimeField,
    DateField,
    DecimalField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    FileField,
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    MapField,
    PointField,
    ReferenceField,
    StringField,
    UUIDField,
)

from datalayer.contrib.flask import DataLayer
from datalayer.documents import (
    Document,
    DynamicDocument,
    EmbeddedDocument,
    MoneyField,
    SecretField,
    UTCDateTimeField,
)
from datalayer.documents.json_schema import json_schema
from datalayer.embedded import EmbeddedMongo

with model_registry():

    class Mood(Enum):
        GOOD = "good"

    class Address(EmbeddedDocument):
        city = StringField(db_field="c")
        door_code = SecretField()

    class Person(Document):
        name = StringField(db_field="n")
        password = SecretField()
        home = EmbeddedDocumentField(Address, db_field="h")
        homes = EmbeddedDocumentListField(Address)
        by_name = MapField(EmbeddedDocumentField(Address))
        born = DateField()
        seen_at = UTCDateTimeField()
        exactly_at = ComplexDateTimeField()
        balance = MoneyField()
        rate = DecimalField(precision=2)
        key = UUIDField()
        data = BinaryField()
        mood = EnumField(Mood)
        friend = ReferenceField("self")
        friends = ListField(ReferenceField("self"))
        boss = LazyReferenceField("self")
        anything = GenericReferenceField()
        place = PointField(auto_index=False)
        photo = FileField()
        free = DictField()
        dynamic = DynamicField()
        nothing = StringField(null=True)

        meta = {"collection": "people", "db_alias": "default", "allow_inheritance": True}

    class Child(Person):
        pass

    class Loose(DynamicDocument):
        meta = {"collection": "loose", "db_alias": "default"}


KEY, OTHER = ObjectId("6" * 24), ObjectId("7" * 24)
EMPTY = {"by_name": {}, "free": {}, "friends": [], "homes": [], "nothing": None}
MOMENT = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def connection(mongod: EmbeddedMongo) -> Iterator[None]:
    with model_registry(Address, Person, Child, Loose), connected(settings_for(mongod)):
        yield
        Person._get_collection().drop()


@pytest.fixture
def app() -> Flask:
    app = Flask("shop")
    app.testing = True
    DataLayer(app)
    return app


def shown(app: Flask, value: Any) -> Any:
    return json.loads(app.json.dumps(value))


def _person(**values: Any) -> Any:
    return Person(id=KEY, name="Ann", password="hush", **values)


def test_a_document_is_shown_by_its_attributes(app: Flask) -> None:
    ann = _person(
        home=Address(city="Bern", door_code="1234"),
        homes=[Address(city="Bern", door_code="1234")],
        by_name={"a": Address(door_code="1234")},
        born=date(2000, 1, 31),
        seen_at=MOMENT,
        exactly_at=datetime(2026, 1, 31, 12, 30, 15, 1),
        balance=Decimal("12.50"),
        rate=Decimal("0.10"),
        key=uuid.UUID(int=5),
        data=b"\x00\xff",
        mood=Mood.GOOD,
        friend=OTHER,
        friends=[OTHER],
        boss=OTHER,
        place=[1, 2],
        free={"a": {"b": OTHER}},
        dynamic=[MOMENT],
    )
    assert shown(app, ann) == {
        "_cls": "Person",
        "id": str(KEY),
        "name": "Ann",
        "home": {"city": "Bern"},
        "homes": [{"city": "Bern"}],
        "by_name": {"a": {}},
        "born": "2000-01-31",
        "seen_at": "2026-01-31T12:30:15.250000+00:00",
        "exactly_at": "2026-01-31T12:30:15.000001",
        "balance": "12.50",
        "rate": "0.10",
        "key": "00000000-0000-0000-0000-000000000005",
        "data": "AP8=",
        "mood": "good",
        "friend": str(OTHER),
        "friends": [str(OTHER)],
        "boss": str(OTHER),
        "place": {"type": "Point", "coordinates": [1, 2]},
        "free": {"a": {"b": str(OTHER)}},
        "dynamic": ["2026-01-31T12:30:15.250000+00:00"],
        "nothing": None,
    }


def test_a_stored_document_is_shown_as_the_new_one_was(app: Flask) -> None:
    friend = Child(name="Bob", password="hush").save()
    ann = _person(
        home=Address(city="Bern", door_code="1234"),
        born=date(2000, 1, 31),
        rate=Decimal("0.10"),
        seen_at=MOMENT,
        friend=friend,
        friends=[friend],
        boss=friend,
        anything=friend,
        place=[1, 2],
        homes=[Address(city="Bern", door_code="1234")],
    )
    ann.photo.put(b"picture")
    before = shown(app, ann)
    ann.save()
    (stored,) = Person.objects(id=KEY)
    assert shown(app, stored) == before
    assert before["photo"] == str(ann.photo.grid_id)
    assert before["anything"] == {
        "_cls": "Person.Child",
        "_ref": {"$ref": "people", "$id": str(friend.pk)},
    }
    assert stored.friend.name == stored.friends[0].name == "Bob"  # which reads them
    assert shown(app, stored) == before
    for each in (ann, friend):
        each.delete()


def test_querysets_pages_and_raw_documents_are_shown_without_secrets(app: Flask) -> None:
    ann = _person(home=Address(city="Bern", door_code="1234")).save()
    person = {"_cls": "Person", "id": str(KEY), "name": "Ann", "home": {"city": "Bern"}, **EMPTY}
    people = Person.objects
    assert shown(app, people) == [person]
    assert shown(app, {"people": people.no_cache()}) == {"people": [person]}
    assert shown(app, people.paginate(1, 10)) == {
        "items": [person],
        "page": 1,
        "pages": 1,
        "per_page": 10,
        "total": 1,
    }
    by_key = {"items": [person], "per_page": 20, "next": None, "previous": None}
    assert shown(app, people.paginate_after()) == by_key
    (raw,) = shown(app, people.as_pymongo())
    assert (raw["_id"], raw["n"], raw["h"]) == (str(KEY), "Ann", {"c": "Bern"})
    assert "hush" not in app.json.dumps(people.as_pymongo())
    assert shown(app, people.aggregate([{"$project": {"n": 1}}])) == [
        {"_id": str(KEY), "n": "Ann"}
    ]
    assert shown(app, people.scalar("name")) == ["Ann"]
    ann.delete()


def test_what_only_left_out_is_not_fetched_to_be_shown(app: Flask) -> None:
    ann = _person(home=Address(city="Bern")).save()
    (part,) = Person.objects.only("home")
    assert shown(app, part) == {"_cls": "Person", "id": str(KEY), "home": {"city": "Bern"}}
    (part,) = Person.objects.only("home__door_code", "name")
    assert shown(app, part) == {"_cls": "Person", "id": str(KEY), "name": "Ann", "home": {}}
    ann.delete()


JSON_TYPES = {"string": str, "array": list, "object": dict}


def test_documents_are_shown_as_their_schema_says(app: Flask) -> None:
    ann = _person(
        born=date(2000, 1, 31),
        seen_at=MOMENT,
        balance=Decimal("12.50"),
        rate=Decimal("0.10"),
        key=uuid.UUID(int=5),
        data=b"x",
        friend=OTHER,
        friends=[OTHER],
        boss=OTHER,
        place=[1, 2],
    )
    schema = json_schema(Person, "2020-12")["$defs"]["Person"]["properties"]
    for name, value in shown(app, ann).items():
        kind = schema[name].get("type")
        if isinstance(kind, str):
            assert isinstance(value, JSON_TYPES[kind]), name


def test_fields_that_no_class_declares_are_shown(app: Flask) -> None:
    loose = Loose(id=KEY, seen=MOMENT, inner={"a": [OTHER]})
    assert shown(app, loose) == {
        "id": str(KEY),
        "seen": "2026-01-31T12:30:15.250000+00:00",
        "inner": {"a": [str(OTHER)]},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (KEY, str(KEY)),
        (Decimal("1.50"), "1.50"),
        (Decimal128("1.50"), "1.50"),
        (MOMENT, "2026-01-31T12:30:15.250000+00:00"),
        (MOMENT.date(), "2026-01-31"),
        (MOMENT.time(), "12:30:15.250000"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (b"\x00\xff", "AP8="),
        (Binary(b"\x00\xff", 128), "AP8="),
        (DBRef("people", KEY), str(KEY)),
        (LazyReference(Person, KEY), str(KEY)),
        (Mood.GOOD, "good"),
        (re.compile("a+"), "a+"),
    ],
)
def test_values_have_one_form_each(app: Flask, value: Any, expected: Any) -> None:
    assert shown(app, [value]) == [expected]


def test_views_return_documents_in_json(app: Flask) -> None:
    ann = _person()
    app.add_url_rule("/jsonify", "jsonify", lambda: jsonify(ann))
    app.add_url_rule("/dict", "dict", lambda: {"person": ann})
    app.add_url_rule("/list", "list", lambda: [ann])
    client = app.test_client()
    assert client.get("/jsonify").json["name"] == "Ann"
    assert client.get("/dict").json["person"]["name"] == "Ann"
    assert client.get("/list").json[0]["name"] == "Ann"


def test_what_nobody_knows_is_a_type_error(app: Flask) -> None:
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        app.json.dumps(object())


class OwnProvider(DefaultJSONProvider):
    sort_keys = False

    @staticmethod
    def default(o: Any) -> Any:
        return "own" if isinstance(o, ObjectId) else DefaultJSONProvider.default(o)


def test_an_own_provider_stays_and_its_forms_go_first() -> None:
    app = Flask("shop")
    app.json = OwnProvider(app)
    DataLayer(app)
    assert isinstance(app.json, OwnProvider)
    assert shown(app, _person()) == {"_cls": "Person", "id": "own", "name": "Ann", **EMPTY}
    assert shown(app, MOMENT).endswith("GMT")
    with pytest.raises(TypeError, match="not JSON serializable"):
        app.json.dumps(object())


def test_a_provider_class_named_after_the_application_was_made_counts() -> None:
    app = Flask("shop")
    app.json_provider_class = OwnProvider
    DataLayer(app)
    assert isinstance(app.json, OwnProvider)
    assert shown(app, KEY) == "own"


def test_what_was_set_on_the_provider_before_stays() -> None:
    app = Flask("shop")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    DataLayer(app)
    assert app.json.dumps({"b": KEY, "a": 1}).startswith('{"b"')


class Foreign(JSONProvider):
    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return "{}"

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s)


def test_a_provider_without_a_default_stays_as_it_is() -> None:
    app = Flask("shop")
    app.json = Foreign(app)
    DataLayer(app)
    assert app.json.dumps(KEY) == "{}"


def test_without_json_flask_s_own_stays() -> None:
    app = Flask("shop")
    DataLayer(app, json=False)
    with pytest.raises(TypeError):
        app.json.dumps(KEY)
