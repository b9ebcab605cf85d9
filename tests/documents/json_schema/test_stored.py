"""What models say of their documents as they are stored: which ones a server takes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import mongoengine
import pytest
from bson import DBRef, Decimal128, ObjectId
from mongoengine.fields import (
    Decimal128Field,
    DecimalField,
    EmbeddedDocumentField,
    EnumField,
    FloatField,
    GenericEmbeddedDocumentField,
    IntField,
    LazyReferenceField,
    ListField,
    MapField,
    ReferenceField,
    StringField,
)
from pymongo import MongoClient
from pymongo.collection import Collection

from datalayer.documents import (
    Document,
    DynamicDocument,
    DynamicEmbeddedDocument,
    EmbeddedDocument,
    Lifecycle,
    MoneyField,
)
from datalayer.documents.json_schema import Unexpressed, json_schema, unexpressed
from datalayer.embedded import EmbeddedMongo


class Vehicle(Document):
    wheels = IntField(required=True)
    meta = {"db_alias": "default", "allow_inheritance": True}


class Bicycle(Vehicle):
    gears = IntField(max_value=30)


class Lorry(Vehicle):
    load = IntField()


class Comment(EmbeddedDocument):
    text = StringField(max_length=5)
    answer = EmbeddedDocumentField("self")


class Box(EmbeddedDocument):
    holds = GenericEmbeddedDocumentField(choices=("self", Comment))


Box._fields["holds"].choices = (Box, Comment)


class Owner(Document):
    name = StringField(primary_key=True, max_length=5)
    meta = {"db_alias": "default"}


class OwnersPage(Document):
    owner = ReferenceField(Owner, primary_key=True)
    meta = {"db_alias": "default"}


class AbstractOwned(Document):
    meta = {"abstract": True}


@pytest.fixture
def collection(mongod: EmbeddedMongo, database_name: str) -> Iterator[Collection[Any]]:
    with MongoClient[dict[str, Any]](mongod.uri_for(database_name)) as client:
        yield client[database_name]["any"]


def taken(collection: Collection[Any], model: Any, *documents: dict[str, Any]) -> list[bool]:
    """Of each document, whether the server takes it."""
    stored = [{"_id": number, **each} for number, each in enumerate(documents)]
    collection.insert_many(stored)
    query = {"$jsonSchema": json_schema(model)}
    found = {each["_id"] for each in collection.find(query, {"_id": 1})}
    return [each["_id"] in found for each in stored]


def having(**attributes: Any) -> Any:
    """A model of datalayer's with ``attributes``, whose documents have a number as key."""
    number = IntField(primary_key=True)
    meta = {"db_alias": "default", **attributes.pop("meta", {})}
    bases = attributes.pop("bases", (Document,))
    return type("AnyModel", bases, {"number": number, **attributes, "meta": meta})


def rules_of(model: Any) -> set[tuple[str, str]]:
    return {(each.path, each.rule) for each in unexpressed(model)}


def test_a_field_without_a_value_is_left_out_or_null(collection: Collection[Any]) -> None:
    model = having(a=StringField(max_length=2))
    assert taken(collection, model, {}, {"a": None}, {"a": "x"}, {"a": "xyz"}, {"a": 1}) == [
        *(True, True, True),
        *(False, False),
    ]


def test_a_required_field_is_there_even_where_it_has_a_default(
    collection: Collection[Any],
) -> None:
    model = having(a=StringField(required=True, default="x"))
    assert taken(collection, model, {"a": "x"}, {}, {"a": None}) == [True, False, False]


def test_names_are_those_of_the_database(collection: Collection[Any]) -> None:
    model = having(word=StringField(db_field="w"))
    assert taken(collection, model, {"w": "x"}, {"word": "x"}) == [True, False]


@pytest.mark.parametrize(
    "model",
    [having(meta={"strict": False}), having(bases=(DynamicDocument,))],
    ids=["not strict", "dynamic"],
)
def test_further_fields_are_taken_where_the_class_takes_them(
    collection: Collection[Any], model: Any
) -> None:
    assert taken(collection, model, {"more": 1}) == [True]


def test_a_dynamic_part_takes_further_fields(collection: Collection[Any]) -> None:
    class Loose(DynamicEmbeddedDocument):
        size = IntField()

    model = having(part=EmbeddedDocumentField(Loose))
    parts = ({"size": 1, "more": "x"}, {"size": "x"})
    assert taken(collection, model, *({"part": part} for part in parts)) == [True, False]


def test_a_collection_of_several_classes_holds_each_to_its_own(
    collection: Collection[Any],
) -> None:
    documents = {
        "of the first": {"_cls": "Vehicle", "wheels": 3},
        "of another": {"_cls": "Vehicle.Bicycle", "wheels": 2, "gears": 30},
        "another's field": {"_cls": "Vehicle.Lorry", "wheels": 4, "gears": 30},
        "another's limit": {"_cls": "Vehicle.Bicycle", "wheels": 2, "gears": 31},
        "the first's field is missing": {"_cls": "Vehicle.Lorry"},
        "of no class": {"wheels": 3},
        "of an unknown class": {"_cls": "Vehicle.Boat", "wheels": 3},
    }
    model = json_schema(Vehicle)
    for each in model["anyOf"]:
        each["properties"]["_id"] = {}
    for name, document in documents.items():
        collection.insert_one({"_id": name, **document})
    found = {each["_id"] for each in collection.find({"$jsonSchema": model})}
    assert found == {"of the first", "of another"}


def test_a_subclass_speaks_of_its_own_documents(collection: Collection[Any]) -> None:
    schema = json_schema(Bicycle)
    assert schema["properties"]["_cls"] == {"enum": ["Vehicle.Bicycle"]}
    assert "_cls" in schema["required"]


def test_a_part_that_holds_itself_is_looked_into_once(collection: Collection[Any]) -> None:
    model = having(comment=EmbeddedDocumentField(Comment))
    comments = ({"answer": {"text": 1}}, {"text": "x", "answer": {}}, {"text": 1}, {"answer": 1})
    assert taken(collection, model, *({"comment": each} for each in comments)) == [
        *(True, True),
        *(False, False),
    ]
    assert ("comment.answer", "nesting") in rules_of(model)


def test_what_may_hold_itself_or_another_names_its_class(collection: Collection[Any]) -> None:
    model = having(box=EmbeddedDocumentField(Box))
    inside = (
        {"_cls": "Box"},
        {"_cls": "Comment", "text": "x"},
        {},
        {"_cls": "Comment", "text": 1},
    )
    assert taken(collection, model, *({"box": {"holds": each}} for each in inside)) == [
        *(True, True),
        *(False, False),
    ]


def test_a_field_that_stores_in_its_own_way_may_hold_anything(collection: Collection[Any]) -> None:
    class Joined(ListField):  # type: ignore[type-arg]
        def to_mongo(self, value: Any, *_: Any, **__: Any) -> str:
            return ",".join(value)

    model = having(words=Joined(StringField()))
    assert taken(collection, model, {"words": "a,b"}, {"words": 1}) == [True, True]
    assert rules_of(model) == {("words", "to_mongo()")}


def test_a_field_that_only_converts_is_known_by_what_it_is_derived_from(
    collection: Collection[Any],
) -> None:
    class Lower(StringField):
        def to_python(self, value: Any) -> Any:
            return value.lower() if isinstance(value, str) else value

    model = having(word=Lower(max_length=2))
    assert taken(collection, model, {"word": "ab"}, {"word": "abc"}) == [True, False]


def test_rules_that_only_python_knows_are_listed() -> None:
    def is_even(value: int) -> None: ...

    class Even(IntField):
        def validate(self, value: Any) -> None: ...

    def clean(self: Any) -> None: ...

    model = having(
        even=Even(),
        number_of=IntField(validation=is_even),
        name=StringField(unique=True),
        by=StringField(unique_with="name"),
        odd=StringField(regex=r"a\B"),
        clean=clean,
        meta={"indexes": [{"fields": ["even", "-odd"], "unique": True}]},
    )
    assert unexpressed(model) == [
        Unexpressed("even", "validate()", "what Even.validate() refuses"),
        Unexpressed("number_of", "validation", "what is_even refuses"),
        Unexpressed("name", "unique", "an index sees to it"),
        Unexpressed("by", "unique", "an index sees to it"),
        Unexpressed(
            "odd", "regex", "the server's regular expressions have no equal of this pattern"
        ),
        Unexpressed("", "clean()", "what AnyModel.clean() refuses"),
        Unexpressed("", "unique", "an index sees to it, over even, odd"),
    ]


def test_a_class_that_stores_in_its_own_way_may_add_fields(collection: Collection[Any]) -> None:
    class AddingDocument(Document):
        number = IntField(primary_key=True)
        meta = {"db_alias": "default"}

        def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
            return {**super().to_mongo(*args, **kwargs), "more": 1}

    assert taken(collection, AddingDocument, AddingDocument(number=0).to_mongo()) == [True]
    assert rules_of(AddingDocument) == {("", "to_mongo()")}


def test_a_path_names_lists_and_mappings() -> None:
    model = having(words=MapField(ListField(StringField(unique=True))))
    assert rules_of(model) == {("words.*[]", "unique")}


def test_the_moves_of_a_lifecycle_are_listed() -> None:
    model = having(bases=(Lifecycle, Document), status=StringField(choices=("open", "closed")))
    assert rules_of(model) == {("", "clean()")}


def test_a_reference_holds_the_key_of_its_documents(collection: Collection[Any]) -> None:
    model = having(owner=ReferenceField(Owner), page=ReferenceField(OwnersPage))
    documents = ({"owner": "Ann"}, {"page": "Ann"}, {"owner": ObjectId()}, {"page": 1})
    assert taken(collection, model, *documents) == [True, True, False, False]


def test_a_lazy_reference_names_the_collection_of_its_class(
    collection: Collection[Any],
) -> None:
    model = having(owner=LazyReferenceField(Owner, dbref=True))
    documents = ({"owner": DBRef("owner", "Ann")}, {"owner": DBRef("elsewhere", "Ann")})
    assert taken(collection, model, *documents) == [True, False]


def test_a_reference_to_an_abstract_class_names_its_collection(
    collection: Collection[Any],
) -> None:
    model = having(owned=ReferenceField(AbstractOwned))
    documents = ({"owned": DBRef("any", 1, cls="Owner")}, {"owned": 1})
    assert taken(collection, model, *documents) == [True, False]


def test_a_class_that_nobody_imported_is_listed(collection: Collection[Any]) -> None:
    model = having(other=ReferenceField("NobodysModel"))
    assert taken(collection, model, {"other": 1}) == [True]
    assert ("other", "class") in rules_of(model)


def test_choices_that_are_worth_the_same_stand_once(collection: Collection[Any]) -> None:
    model = having(size=IntField(choices=(1, 1.0, 2)), yes=IntField(choices=(1, True)))
    assert json_schema(model)["properties"]["size"]["enum"] == [1, 2, None]
    assert taken(collection, model, {"size": 2}, {"size": 3}) == [True, False]


def test_choices_that_cannot_be_stored_are_listed() -> None:
    class Kind(Enum):
        ANY = object()

    model = having(kind=EnumField(Kind))
    assert json_schema(model)["properties"]["kind"] == {}
    assert rules_of(model) == {("kind", "choices")}


def test_a_limit_that_no_number_of_the_servers_reaches_is_listed(
    collection: Collection[Any],
) -> None:
    model = having(size=IntField(max_value=2**64))
    assert taken(collection, model, {"size": 2**62}) == [True]
    assert rules_of(model) == {("size", "maximum")}


@pytest.mark.parametrize(
    ("field", "taken_value", "refused"),
    [
        (Decimal128Field(min_value=0.1), Decimal128("0.2"), Decimal128("0.05")),
        (MoneyField(max_value=0.5), Decimal128("0.5"), Decimal128("0.6")),
        (IntField(max_value=Decimal("7.5")), 7, 8),
        (FloatField(max_value=math.inf), 1e300, "x"),
        (FloatField(max_value=1e20), 1e20, 1e21),
        (DecimalField(min_value=Decimal("-Infinity")), -1e10, "x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_limits_are_numbers_of_any_kind(
    collection: Collection[Any], field: Any, taken_value: Any, refused: Any
) -> None:
    model = having(number_of=field)
    values = ({"number_of": taken_value}, {"number_of": refused})
    assert taken(collection, model, *values) == [True, False]


def test_a_limit_is_rounded_as_what_is_stored(collection: Collection[Any]) -> None:
    model = having(price=DecimalField(min_value=Decimal("0.004"), precision=2))
    lowest = model(number=0)
    lowest.price = Decimal("0.004")
    lowest.validate()
    assert taken(collection, model, dict(lowest.to_mongo()), {"price": -0.01}) == [True, False]


def test_two_patterns_hold_both(collection: Collection[Any]) -> None:
    model = having(mail=mongoengine.EmailField(regex=re.compile("a", re.IGNORECASE)))
    mails = ("a@x.org", "A@x.org", "b@x.org", "a@")
    assert taken(collection, model, *({"mail": each} for each in mails)) == [
        *(True, True),
        *(False, False),
    ]


def test_plain_documents_of_mongoengine_have_a_schema_too(collection: Collection[Any]) -> None:
    class PlainDocument(mongoengine.Document):
        number = IntField(primary_key=True)
        text = StringField(required=True)

    assert taken(collection, PlainDocument, {"text": "x"}, {}) == [True, False]
