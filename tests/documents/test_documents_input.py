"""Request data stays data: in filters, constructors and updates no value becomes an operator.

JSON bodies and query strings are made up from operator-like keys and values. The filters that
come out of them run on a real server, over documents that no exact match may bring back.
DATALAYER_TEST_EXAMPLES sets how many cases each property tries.
"""

from __future__ import annotations

import json
import os
import re
from collections import UserDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

import bson
import pytest
from bson import ObjectId, Regex
from fresh_databases import model_registry
from hypothesis import HealthCheck, event, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from mongoengine.errors import FieldDoesNotExist, ValidationError
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    ComplexDateTimeField,
    DateField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EmailField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    FloatField,
    GeoPointField,
    IntField,
    LazyReferenceField,
    LineStringField,
    ListField,
    LongField,
    MapField,
    ObjectIdField,
    PointField,
    ReferenceField,
    SortedListField,
    StringField,
    URLField,
    UUIDField,
)
from mongoengine.queryset.visitor import Q

from datalayer import db
from datalayer.documents import (
    BusinessDocument,
    EmbeddedDocument,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    UTCDateTimeField,
)
from datalayer.documents.fields.bson_limits import ENCODING, check_document
from datalayer.settings import Settings

EXAMPLES = os.environ.get("DATALAYER_TEST_EXAMPLES")
many = profile(
    max_examples=int(EXAMPLES or 500),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

with model_registry():

    class Place(EmbeddedDocument):
        city = StringField()
        door_code = SecretField()
        meta = {"allow_inheritance": True}

    class OtherPlace(Place):
        pass

    class Maker(BusinessDocument):
        name = StringField()

    class Lamp(BusinessDocument):
        name = StringField()
        email = NormalizedEmailField()
        watts = IntField()
        price = FloatField()
        cost = MoneyField()
        is_sold = BooleanField()
        made_at = UTCDateTimeField()
        tags = ListField(StringField())
        rows = ListField(ListField(EmbeddedDocumentField(Place)))
        place = EmbeddedDocumentField(Place)
        places = EmbeddedDocumentListField(Place)
        by_name = MapField(EmbeddedDocumentField(Place))
        maker = ReferenceField(Maker)
        notes = DictField()
        anything = DynamicField()
        raw = RawDictField()
        token = SecretField()
        is_admin = BooleanField(default=False)


MODELS = (Place, OtherPlace, Maker, Lamp)
MAKER = ObjectId("0123456789abcdef01234567")
SEEDED: dict[str, dict[str, Any]] = {
    "first": {
        "name": "a", "email": "a@example.com", "watts": 1, "price": 1.5, "cost": "1.50",
        "is_sold": True, "tags": ["a", "b"], "maker": MAKER, "place": Place(city="a"),
        "notes": {"k": "a"}, "anything": "a", "made_at": "2024-01-02T03:04:05Z",
    },
    "second": {
        "name": "b", "watts": 2, "price": 2.0, "is_sold": False, "tags": ["b"],
        "place": Place(city="b"), "notes": {"k": 1}, "anything": 1,
    },
    "canary of nothing": {},
    "canary of all": {
        "name": "Zq7XwKv93Jp", "email": "canary@example.com", "watts": 77, "price": 77.5,
        "is_sold": True, "tags": ["Zq7XwKv93Jp"], "place": Place(city="Zq7XwKv93Jp"),
        "notes": {"k": "Zq7XwKv93Jp"}, "anything": "Zq7XwKv93Jp", "cost": "77",
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def seeded(shared: Settings) -> dict[str, ObjectId]:
    """Connected, to a database with the documents above."""
    return {name: Lamp(token=name, **values).save().pk for name, values in SEEDED.items()}


class MultiDict(dict[str, list[str]]):
    """As in Flask and Django: one value for ``[]``, all of them for ``getlist``."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key)[0]

    def getlist(self, key: str) -> list[str]:
        return super().__getitem__(key)


def found_with(data: Any, *allow: str) -> list[str]:
    found = Lamp.objects(**db.safe_filter(Lamp, data, allow=allow))
    return list(found.order_by("id").scalar("token"))


# Filters: what they do


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, list(SEEDED)),
        ({"name": "a"}, ["first"]),
        ({"email": " A@Example.com"}, ["first"]),
        ({"watts": 2}, ["second"]),
        ({"watts": "2"}, ["second"]),
        ({"price": "1.5"}, ["first"]),
        ({"cost": "1.50"}, ["first"]),
        ({"is_sold": False}, ["second"]),
        ({"is_sold": "false"}, ["second"]),
        ({"tags": "b"}, ["first", "second"]),
        ({"place__city": "b"}, ["second"]),
        ({"notes__k": "a"}, ["first"]),
        ({"maker": str(MAKER)}, ["first"]),
        ({"made_at": "2024-01-02T03:04:05+00:00"}, ["first"]),
        ({"made_at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)}, ["first"]),
        ({"tags": "b", "watts": 1}, ["first"]),
    ],
)
def test_values_are_matched_exactly(data: Any, expected: list[str]) -> None:
    assert found_with(data, *data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"watts__lte": 2}, ["first", "second"]),
        ({"watts__gt": "1", "watts__lte": "2"}, ["second"]),
        ({"name__in": ["a", "b", "c"]}, ["first", "second"]),
        ({"name__nin": ["a", "b"]}, ["canary of nothing", "canary of all"]),
        ({"name__ne": "a"}, ["second", "canary of nothing", "canary of all"]),
        ({"name__startswith": "Zq"}, ["canary of all"]),
        ({"name__startswith": ".*"}, []),
        ({"name__icontains": "ZQ7"}, ["canary of all"]),
        ({"name__exists": "false"}, ["canary of nothing"]),
        ({"tags__all": ["a", "b"]}, ["first"]),
        ({"tags__size": "1"}, ["second", "canary of all"]),
    ],
)
def test_operators_work_where_they_are_allowed_by_name(data: Any, expected: list[str]) -> None:
    assert found_with(data, *data) == expected


def test_a_key_of_a_query_string_may_come_several_times_only_for_lists() -> None:
    several = MultiDict(name__in=["a", "b"], name=["a"])
    assert found_with(several, "name", "name__in") == ["first"]
    with pytest.raises(ValidationError) as caught:
        found_with(MultiDict(name=["a", "b"]), "name")
    assert list(caught.value.errors) == ["name"]


def test_named_keys_may_be_ignored() -> None:
    data = {"name": "a", "page": {"$ne": 1}}
    assert db.safe_filter(Lamp, data, allow=["name"], ignore=["page"]) == {"name": "a"}


# Filters: what they refuse


@pytest.mark.parametrize(
    "value",
    [
        {"$ne": None},
        {"$gt": ""},
        {"$regex": ".*"},
        {},
        [],
        ["a"],
        ("a",),
        {"a"},
        None,
        re.compile("."),
        Regex("."),
        Q(name="a"),
        UserDict({"$ne": 1}),
        MappingProxyType({"$ne": 1}),
        b"a",
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "field",
    [
        "name",
        "watts",
        "price",
        "cost",
        "is_sold",
        "made_at",
        "tags",
        "place",
        "maker",
        "notes",
        "anything",
        "id",
        "email",
        "place__city",
        "notes__k",
        "watts__lte",
        "name__startswith",
    ],
)
def test_only_single_values_are_taken(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        db.safe_filter(Lamp, {field: value}, allow=[field])
    assert list(caught.value.errors) == [field]


@pytest.mark.parametrize(
    "key",
    [
        "__raw__", "$where", "$or", "$expr", "_id", "pk", "id", "token", "name__ne", "name__regex",
        "name__in", "name__", "name.x", "name\0", "", "_cls", "place__door_code", "Name", "name ",
        "watts__lte__not", "not__name", "0", 1, None,
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["a", {"$ne": 1}, 1])
def test_a_key_that_is_not_allowed_is_refused_by_name(key: Any, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        db.safe_filter(Lamp, {"name": "a", key: value}, allow=["name", "watts__lte"])
    assert len(caught.value.errors) == 1
    if isinstance(key, str) and key.isidentifier():
        assert list(caught.value.errors) == [key]
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("watts", 2.7), ("watts", True), ("watts", "x"), ("watts", 2**70), ("watts", "9" * 30),
        ("watts", float("nan")), ("watts", float("inf")), ("price", float("nan")),
        ("watts", Decimal("1e999999")),
        ("price", "x"), ("is_sold", 1), ("is_sold", "x"), ("made_at", "x"), ("made_at", 5),
        ("made_at", "0001-01-01T00:00:00+05:00"), ("maker", "x"), ("maker", 1), ("id", "x"),
        ("cost", 1.5), ("cost", "x"), ("name", 1), ("name", True), ("name", "\ud800"),
        ("tags", 1), ("place", "x"), ("anything", 2**70), ("name__in", [None]),
        ("name__in", [["a"]]), ("name__in", [{"$ne": 1}]), ("name__exists", "x"),
        ("name__exists", 1), ("tags__size", -1), ("tags__size", {"$gt": 0}), ("watts__lte", "x"),
        ("name__startswith", 1), ("name__startswith", "\0"), ("watts__in", [1, 2.5]),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_the_field_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        db.safe_filter(Lamp, {field: value}, allow=[field])
    assert list(caught.value.errors) == [field]


def test_all_problems_are_told_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        db.safe_filter(Lamp, {"name": {"Zq7": 1}, "x": "Zq7", "watts": "Zq7"}, allow=["name"])
    assert sorted(caught.value.errors) == ["name", "watts", "x"]
    assert "Zq7" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("data", [None, "name=a", ["name"], [("name", "a")], 1, Q(name="a")])
def test_what_is_no_mapping_is_refused(data: Any) -> None:
    with pytest.raises(ValidationError, match="not a mapping"):
        db.safe_filter(Lamp, data, allow=["name"])


@pytest.mark.parametrize("key", ["nmae", "place__nmae", "maker__name", "__raw__x"])
def test_allowing_a_field_that_the_model_lacks_is_the_programmers_mistake(key: str) -> None:
    with pytest.raises((FieldDoesNotExist, ValueError), match=key):
        db.safe_filter(Lamp, {}, allow=[key])


@pytest.mark.parametrize(
    "key",
    [
        "name__regex",
        "name__iregex",
        "watts__mod",
        "name__not",
        "name__not__gt",
        "tags__match",
        "name__type",
        "tags__elemMatch",
        "place__near",
        "__raw__",
        "notes.k",
        "name__",
        "",
    ],
)
def test_some_operators_can_not_be_allowed(key: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(key))):
        db.safe_filter(Lamp, {}, allow=[key])


def test_a_single_string_is_no_list_of_names() -> None:
    with pytest.raises(TypeError, match="lists of names"):
        db.safe_filter(Lamp, {}, allow="name")


@pytest.mark.parametrize(
    "operator",
    ["contains", "icontains", "startswith", "istartswith", "endswith", "iexact", "exact"],
)
@pytest.mark.parametrize("sign", ["x", "k", ".", "\u00b5", "\u20ac", "\U0001f600"], ids=ascii)
def test_text_is_looked_for_up_to_what_every_server_takes(operator: str, sign: str) -> None:
    key = f"name__{operator}"
    longest = sign * (16_000 // len(sign.encode()))
    assert found_with({key: longest}, key) == []
    for beyond in (longest + sign, sign * 100_000):
        with pytest.raises(ValidationError) as caught:
            db.safe_filter(Lamp, {key: beyond}, allow=[key])
        assert list(caught.value.errors) == [key]
        assert "at most 16000 bytes" in str(caught.value)
        with pytest.raises(ValidationError, match="at most 16000 bytes"):
            Lamp.objects(**{key: beyond}).first()


def test_a_long_text_full_of_signs_is_found_as_it_is() -> None:
    """Escaped sign by sign, its pattern would be longer than MongoDB 7.0 takes."""
    text = "a.$" * 3_000 + r"\E.*\Q(" * 100
    sought, other = Lamp(name=text).save(), Lamp(name=text.replace(".", "x")).save()
    for operator in ("contains", "icontains", "istartswith", "endswith", "iexact", "exact"):
        assert [each.pk for each in Lamp.objects(**{f"name__{operator}": text})] == [sought.pk]
    Lamp.objects(pk__in=[sought.pk, other.pk]).delete()


@pytest.mark.parametrize(
    ("field", "value"),
    [("notes", "a"), ("notes", 1.5), ("by_name__k", 1), ("place", "a"), ("raw", True)],
)
def test_what_the_query_would_refuse_is_refused_at_once(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        db.safe_filter(Lamp, {field: value}, allow=[field])
    assert list(caught.value.errors) == [field]


# Filters: whatever comes in

ALLOWED: dict[str, Callable[[dict[str, Any], Any], bool]] = {
    "name": lambda lamp, value: lamp.get("name") == value,
    "email": lambda lamp, value: lamp.get("email") == value.casefold().strip(),
    "watts": lambda lamp, value: lamp.get("watts") == int(value),
    "price": lambda lamp, value: lamp.get("price") == float(value),
    "is_sold": lambda lamp, value: lamp.get("is_sold") is value,
    "tags": lambda lamp, value: value in lamp.get("tags", ()),
    "place__city": lambda lamp, value: city_of(lamp) == value,
    "notes__k": lambda lamp, value: is_equal(lamp.get("notes", {}).get("k"), value),
    "anything": lambda lamp, value: is_equal(lamp.get("anything"), value),
    "watts__lte": lambda lamp, value: lamp.get("watts", 10**9) <= int(value),
    "name__in": lambda lamp, value: lamp.get("name") in value,
    "name__startswith": lambda lamp, value: (
        lamp.get("name", "").startswith(value) and "name" in lamp
    ),
}


def city_of(lamp: dict[str, Any]) -> Any:
    place = lamp.get("place")
    return place.city if place else None


def is_equal(held: Any, given: Any) -> bool:
    return held == given and isinstance(held, bool) == isinstance(given, bool)


operators = "$ne $gt $gte $lt $in $nin $exists $regex $where $or $and $not $expr $type $mod"
others = "__raw__ _id pk id _cls token name__ne name__regex place.city name\0 page $comment ''"
json_scalars = st.one_of(
    st.sampled_from(["a", "b", "", ".*", "^", "1", "2", "true", "null", "[object Object]", "\0"]),
    st.sampled_from(["a@example.com", "function(){return true}", "\ud800", "1; return true"]),
    st.sampled_from([None, True, False, 0, 1, 2, 77, 1.5, -1, 2**63, 1e400, 2.5]),
    st.text(max_size=3),
)
json_values = st.one_of(
    *[json_scalars] * 3,
    st.recursive(
        json_scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from([*operators.split(), "a", "_cls"]), inner, max_size=2),
        ),
        max_leaves=5,
    ),
)
good_keys = st.sampled_from(sorted(ALLOWED))
keys = st.one_of(*[good_keys] * 6, st.sampled_from([*operators.split(), *others.split()]))
FITTING = [
    ("name", "a"), ("name", ".*"), ("email", " A@example.com"), ("watts", 1), ("watts", "2"),
    ("price", 1.5), ("price", "2"), ("is_sold", True), ("is_sold", "false"), ("tags", "b"),
    ("place__city", "b"), ("notes__k", "a"), ("notes__k", 1), ("anything", 1), ("name", ""),
    ("watts__lte", "2"), ("name__in", ["a", "b"]), ("name__startswith", "^"),
]  # fmt: skip
fitting = st.sampled_from(FITTING)
texts = st.one_of(json_scalars.map(str), st.text(max_size=4))
pairs = st.one_of(*[fitting] * 4, st.tuples(keys, json_values))
bodies = st.lists(pairs, max_size=3).map(dict)


def check_filter(data: Any) -> None:
    """Refused, or exactly what the conditions say: no document more, no document less."""
    try:
        safe = db.safe_filter(Lamp, data, allow=ALLOWED)
    except ValidationError:
        event("refused")
        return
    event(f"accepted with {len(safe)}")
    assert sorted(safe) == sorted(data)
    expected = [
        name
        for name, lamp in SEEDED.items()
        if all(ALLOWED[key](lamp, value) for key, value in safe.items())
    ]
    assert list(Lamp.objects(**safe).order_by("id").scalar("token")) == expected


@many
@given(bodies)
def test_a_json_body_brings_back_exact_matches_only(body: dict[str, Any]) -> None:
    check_filter(json.loads(json.dumps(body)))


@many
@given(
    st.lists(st.tuples(keys, st.one_of(json_scalars.map(str), st.text(max_size=4))), max_size=3)
)
def test_a_query_string_brings_back_exact_matches_only(items: list[tuple[str, Any]]) -> None:
    text = urlencode(items, doseq=True, errors="replace")
    check_filter(dict(parse_qsl(text, keep_blank_values=True)))
    check_filter(parse_qs(text, keep_blank_values=True))
    check_filter(MultiDict(parse_qs(text, keep_blank_values=True)))


@many
@given(keys, json_values)
def test_php_style_brackets_make_no_operators(key: str, value: Any) -> None:
    text = urlencode({f"{key}[$ne]": str(value), key: "a"}, errors="replace")
    with pytest.raises(ValidationError):
        found_with(dict(parse_qsl(text, keep_blank_values=True)), *ALLOWED)


# Constructors and updates


def test_a_class_can_not_be_chosen_from_outside() -> None:
    for field, value in (
        ("place", {"_cls": "Place.OtherPlace", "city": "a"}),
        ("places", [{"_cls": "Place.OtherPlace", "city": "a"}]),
        ("by_name", {"k": {"_cls": "Place.OtherPlace"}}),
    ):
        lamp = Lamp.from_input({field: value}, allow=[field])
        assert "OtherPlace" not in str(lamp.to_mongo())
    for field in ("notes", "anything"):
        for value in ({"_cls": "Lamp"}, {"k": [{"_cls": "NoSuchModel"}]}):
            with pytest.raises(ValidationError) as caught:
                Lamp.from_input({field: value}, allow=[field])
            assert list(caught.value.errors) == [field]


@pytest.mark.parametrize("field", ["notes", "anything", "raw"])
@pytest.mark.parametrize(
    "value",
    [{"$ne": 1}, {"a.b": 1}, {"k": [{"$gt": 1}]}, {"a\0": 1}, {"k": 2**70}, {"k": "\ud800"}],
    ids=repr,
)
def test_what_can_not_be_stored_is_refused_on_the_way_in(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Lamp.from_input({field: value}, allow=[field])
    assert list(caught.value.errors) == [field]


with model_registry():

    class Kind(Enum):
        PLAIN = "plain"

    class Reading(BusinessDocument):
        string, url, mail = StringField(), URLField(), EmailField()
        whole, long, number = IntField(), LongField(), FloatField()
        decimal, decimal_text = DecimalField(), DecimalField(force_string=True)
        decimal128, money = Decimal128Field(), MoneyField()
        truth, kind, key, uuid = BooleanField(), EnumField(Kind), ObjectIdField(), UUIDField()
        day, moment, precise = DateField(), DateTimeField(), ComplexDateTimeField()
        utc, data = UTCDateTimeField(), BinaryField()
        geo, point, line = GeoPointField(), PointField(), LineStringField()
        maker, lazy = ReferenceField(Maker), LazyReferenceField(Maker)
        wholes, in_order = ListField(IntField()), SortedListField(IntField())
        numbers, by_name = ListField(ListField(FloatField())), MapField(IntField())
        some, named, anything, raw = ListField(), DictField(), DynamicField(), RawDictField()


SINGLE: dict[str, Any] = {
    "1e999": json.loads("1e999"),
    "-1e999": json.loads("-1e999"),
    "NaN": json.loads("NaN"),
    "Decimal NaN": Decimal("NaN"),
    "Decimal sNaN": Decimal("sNaN"),
    "Decimal Infinity": Decimal("-Infinity"),
    "huge exponent": Decimal("1e99999"),
    "an exponent that takes minutes": Decimal("1e999999"),
    "tiny exponent": Decimal("1e-99999"),
    "65 bits": 2**64,
    "5000 digits": 10**5000,
    "text of 5000 digits": "9" * 5000,
    "text of 1e999": "1e999",
    "text of a huge exponent": "1e9999999999999999999",
    "text of NaN": "NaN",
    "text of Infinity": "Infinity",
    "lone surrogate": "\ud800",
    "NUL": "a\0b",
    "year 0": "0000-01-01",
    "before the year 1": "0001-01-01T00:00:00+05:00",
    "the same as a datetime": datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
    "an object": object(),
    "bytes": b"\xff",
}
IN_PLACES: dict[str, Callable[[Any], Any]] = {
    "alone": lambda value: value,
    "in a list": lambda value: [value, value],
    "in lists": lambda value: [[value], [value]],
    "in a mapping": lambda value: {"k": value},
    "as coordinates": lambda value: {"type": "Point", "coordinates": [value, value]},
    "in lists in lists": lambda value: [[{"k": value}]],
}


@pytest.mark.parametrize("place", IN_PLACES)
@pytest.mark.parametrize("field", sorted(set(Reading._fields) - {"id", "created_at"}))
def test_whatever_number_or_text_comes_in_is_refused_as_invalid_or_can_be_stored(
    field: str, place: str
) -> None:
    for single in SINGLE.values():
        value = IN_PLACES[place](single)
        try:
            reading = Reading.from_input({field: value}, allow=[field])
            Reading().update_from_input({field: value}, allow=[field])
            stored = reading.to_mongo()
            reading.validate()
        except ValidationError:
            continue
        check_document(stored, "readings")
        bson.encode(stored, codec_options=ENCODING)


@pytest.mark.parametrize("value", [float("inf"), Decimal("NaN"), 2**64], ids=str)
@pytest.mark.parametrize("field", ["whole", "wholes"])
def test_a_number_that_is_no_whole_one_of_64_bits_is_refused(field: str, value: Any) -> None:
    given = [value] if field == "wholes" else value
    with pytest.raises(ValidationError) as caught:
        Reading.from_input({field: given}, allow=[field])
    assert list(caught.value.errors) == [field]
    assert "takes a whole number" in str(caught.value)


@pytest.mark.parametrize("levels", [100, 500, 5000])
@pytest.mark.parametrize("field", ["notes", "anything", "raw"])
def test_deeply_nested_input_is_refused(field: str, levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    with pytest.raises(ValidationError):
        Lamp.from_input({field: value}, allow=[field]).save()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tags", {"$ne": 1}),
        ("tags", {"0": "a"}),
        ("notes", ["a"]),
        ("by_name", ["a"]),
        ("places", {"city": "a"}),
        ("place", ["a"]),
        ("place", "a"),
        ("rows", [[{"city": {}}]]),
    ],
)
def test_lists_and_mappings_are_not_taken_for_each_other(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Lamp.from_input({field: value}, allow=[field])
    assert list(caught.value.errors) == [field]


def test_a_place_is_a_list_of_two_numbers() -> None:
    assert Reading.from_input({"geo": [13.4, 52.5]}, allow=["geo"]).geo == [13.4, 52.5]
    with pytest.raises(ValidationError):
        Reading.from_input({"geo": {"$ne": 1}}, allow=["geo"])


def test_embedded_documents_are_made_at_every_depth() -> None:
    lamp = Lamp.from_input({"rows": [[{"city": "a", "x": 1}]]}, allow=["rows"])
    assert lamp.rows[0][0].city == "a"


def test_a_form_gives_lists_all_values_and_other_fields_one() -> None:
    form = MultiDict(tags=["a", "b"], name=["a"], csrf=["x"])
    lamp = Lamp.from_input(form, allow=["tags", "name"])
    assert (lamp.tags, lamp.name) == (["a", "b"], "a")
    with pytest.raises(ValidationError) as caught:
        Lamp.from_input(MultiDict(name=["a", "b"]), allow=["name"])
    assert list(caught.value.errors) == ["name"]


def test_an_update_sets_only_what_is_allowed() -> None:
    lamp = Lamp(name="a", is_admin=False, place=Place(city="a", door_code="4711"))
    body = {"name": "b", "is_admin": True, "place": {"city": "b", "door_code": "0"}, "pk": "x"}
    lamp.update_from_input(body, allow=["name", "place.city"])
    assert (lamp.name, lamp.is_admin, lamp.pk) == ("b", False, None)
    assert (lamp.place.city, lamp.place.door_code) == ("b", "4711")


def test_an_update_sets_all_or_nothing() -> None:
    lamp = Lamp(name="a", watts=1, place=Place(city="a"))
    for wrong in ({"watts": {"$inc": 1}}, {"place": None}, {"place": {"city": {"$ne": 1}}}):
        with pytest.raises(ValidationError) as caught:
            lamp.update_from_input({"name": "b", **wrong}, allow=["name", "watts", "place.city"])
        assert list(caught.value.errors) == list(wrong)
        assert (lamp.name, lamp.watts, lamp.place.city) == ("a", 1, "a")


def test_an_update_makes_an_embedded_document_that_is_not_there() -> None:
    lamp = Lamp()
    lamp.update_from_input({"place": {"city": "b", "door_code": "0"}}, allow=["place.city"])
    assert (lamp.place.city, lamp.place.door_code) == ("b", None)


OPEN = ["name", "email", "watts", "price", "cost", "is_sold", "made_at", "tags", "rows", "places"]
OPEN += ["place.city", "by_name", "notes", "anything", "raw", "maker"]
CLOSED = {"is_admin": True, "token": "x", "pk": "x", "id": "x", "_created": False, "_cls": "x"}
dates = st.sampled_from(["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "2024-13-01"])
free_values = st.one_of(
    json_values, dates, st.lists(json_values, max_size=2), st.dictionaries(keys, json_values)
)
fields = st.sampled_from([name.partition(".")[0] for name in OPEN])
free_bodies = st.dictionaries(fields, free_values, max_size=4)


@many
@given(free_bodies)
def test_a_body_makes_a_document_that_can_be_stored_and_loaded_or_is_refused(
    body: dict[str, Any],
) -> None:
    try:
        lamp = Lamp.from_input({**body, **CLOSED}, allow=OPEN)
        changed = Lamp(token="before", place=Place(door_code="4711"))
        changed.update_from_input({**body, **CLOSED}, allow=OPEN)
        lamp.save()
    except ValidationError:
        event("refused")
        return
    event("stored")
    try:
        loaded = Lamp.objects.get(pk=lamp.pk)
        assert (lamp.is_admin, lamp.token, loaded.is_admin, loaded.token) == (False, None) * 2
        assert (changed.is_admin, changed.token, changed.pk) == (False, "before", None)
        assert changed.place.door_code == "4711"
        assert type(loaded.place) in (Place, type(None))
        stored = Lamp.objects.as_pymongo().get(pk=lamp.pk)
        assert "OtherPlace" not in str(stored)
        assert set(stored) <= set(Lamp._fields) | {"_id"}
        assert loaded.cost is None or isinstance(loaded.cost, Decimal)
    finally:
        lamp.delete()
