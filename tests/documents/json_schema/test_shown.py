"""What models say of their documents to the readers of an API's documentation."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from every_field import Every
from mongoengine.fields import (
    DateField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)

from datalayer.documents import Document, EmbeddedDocument, MoneyField, SecretField
from datalayer.documents.json_schema import json_schema


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(EmbeddedDocument):
    colour = EnumField(Colour, default=Colour.RED)
    leaves = EmbeddedDocumentListField("self")


class Plant(Document):
    name = StringField(
        db_field="n", required=True, verbose_name="Name", help_text="In Latin", max_length=80
    )
    token = SecretField(required=True)
    leaf = EmbeddedDocumentField(Leaf, null=True)
    planted = DateField(choices=(date(2026, 1, 31),))
    code = StringField(regex="[A-Z]+")
    strange = StringField(regex=r"[A-Z]+\Z")
    price = MoneyField(default=Decimal("1.50"))
    sizes = ListField(IntField(min_value=0), max_length=3, required=True)
    beside = ReferenceField("self")
    meta = {"db_alias": "default", "allow_inheritance": True}


class PlantInAPot(Plant):
    pot = StringField()


def schema_of(name: str) -> Any:
    return json_schema(Plant, "2020-12")["$defs"]["Plant"]["properties"][name]


def test_attributes_names_stand_for_the_fields_and_secrets_are_left_out() -> None:
    plant = json_schema(Plant, "2020-12")["$defs"]["Plant"]
    names = {
        "id",
        "name",
        "leaf",
        "planted",
        "code",
        "strange",
        "price",
        "sizes",
        "beside",
        "_cls",
    }
    assert set(plant["properties"]) == names
    assert sorted(plant["required"]) == ["_cls", "name", "sizes"]
    assert plant["additionalProperties"] is False


def test_each_class_of_a_collection_stands_once_and_names_itself() -> None:
    schema = json_schema(Plant, "2020-12")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["anyOf"] == [{"$ref": "#/$defs/Plant"}, {"$ref": "#/$defs/Plant.PlantInAPot"}]
    definition = schema["$defs"]["Plant.PlantInAPot"]
    assert definition["properties"]["_cls"] == {"const": "Plant.PlantInAPot"}


def test_a_part_may_hold_itself() -> None:
    leaf = json_schema(Plant, "2020-12")["$defs"]["Leaf"]
    assert leaf["properties"]["leaves"] == {"type": "array", "items": {"$ref": "#/$defs/Leaf"}}
    assert schema_of("leaf") == {"anyOf": [{"$ref": "#/$defs/Leaf"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "name",
            {"type": "string", "maxLength": 80, "title": "Name", "description": "In Latin"},
        ),
        ("id", {"type": "string", "pattern": "^[0-9a-f]{24}$", "readOnly": True}),
        ("planted", {"type": "string", "format": "date", "enum": ["2026-01-31"]}),
        ("code", {"type": "string", "pattern": "^(?:[A-Z]+)"}),
        ("strange", {"type": "string"}),  # \Z is Python's
        ("price", {"type": "string", "format": "decimal", "default": "1.50"}),
        (
            "sizes",
            {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 1,
                "maxItems": 3,
            },
        ),
        ("beside", {"type": "string", "pattern": "^[0-9a-f]{24}$"}),
    ],
)
def test_a_field_says_its_type_its_limits_and_what_it_is_called(name: str, expected: Any) -> None:
    assert schema_of(name) == expected


def test_an_enum_says_its_values_and_its_default() -> None:
    leaf = json_schema(Plant, "2020-12")["$defs"]["Leaf"]
    assert leaf["properties"]["colour"] == {"enum": ["red", "blue"], "default": "red"}


def test_a_currency_is_one_of_those_in_use() -> None:
    codes = json_schema(Every, "2020-12")["properties"]["currency"]["enum"]
    assert {"EUR", "JPY"} <= set(codes)


def test_every_reference_inside_a_schema_leads_somewhere() -> None:
    schema = json_schema(Every, "2020-12")
    names = set(re.findall(r"'#/\$defs/([^']+)'", str(schema)))
    assert names == set(schema["$defs"])


def test_every_field_of_every_class_says_something() -> None:
    properties = json_schema(Every, "2020-12")["properties"]
    assert {name for name, schema in properties.items() if not schema} == {"dynamic"}
