"""Documents that are loaded from their BSON bytes: what waits in them, when it is decoded, and who
gets dictionaries as before."""

from __future__ import annotations

import copy
import enum
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import bson
import mongoengine as me
import pytest
from bson import Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.codec_options import CodecOptions, DatetimeConversion, TypeDecoder, TypeRegistry
from bson.errors import InvalidBSON
from fresh_databases import connected, model_registry, settings_for
from mongoengine.errors import FieldDoesNotExist, InvalidDocumentError
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.documents import BusinessDocument, EmbeddedDocument
from datalayer.documents.engine import core
from datalayer.documents.engine.mixins import reading_program
from datalayer.documents.engine.queries.reading import documents
from datalayer.documents.rollback.snapshots import snapshot
from datalayer.embedded import EmbeddedMongo

pytestmark = pytest.mark.skipif(core is None, reason="of the part in C")
WHEN = datetime(1961, 4, 12, 6, 7, 0, 5000)


class Wing(EmbeddedDocument):
    length = me.FloatField()
    flaps = me.IntField()


class Bird(BusinessDocument):
    name = me.StringField()
    eggs = me.IntField(default=2)
    born = me.DateTimeField()
    wing = me.EmbeddedDocumentField(Wing)
    wings = me.EmbeddedDocumentListField(Wing)
    songs = me.ListField(me.StringField())
    notes = me.DictField()
    ring = me.UUIDField()

    meta = {"collection": "birds", "allow_inheritance": True}


class Owl(Bird):
    hours = me.IntField()


class Colour(enum.Enum):
    RED = "red"


class Ringed(BusinessDocument):
    name = me.StringField()
    colour = me.EnumField(Colour, default=Colour.RED)
    seen = me.DateField()
    anything = me.DynamicField()

    meta = {"collection": "ringed"}


class Loose(BusinessDocument):
    name = me.StringField()

    meta = {"collection": "loose", "strict": False}


@pytest.fixture(scope="module")
def connection(mongod: EmbeddedMongo) -> Iterator[None]:
    with model_registry(Wing, Bird, Owl, Ringed, Loose), connected(settings_for(mongod)):
        yield


@pytest.fixture
def birds(connection: None) -> list[Bird]:
    Bird.drop_collection()
    made = [Bird(name=f"bird {n}", eggs=n, wing=Wing(length=n), wings=[Wing(flaps=n)], songs=["a"],
                 notes={"n": n}, born=WHEN) for n in range(250)]  # fmt: skip
    Bird.objects.insert(made)
    return made


def from_bytes(model: Any, raw: dict[str, Any] | bytes) -> Any:
    data = raw if isinstance(raw, bytes) else bson.encode(raw)
    program = reading_program(model)
    assert program is not None
    assert program.load is not None
    return program.load(data, core.Codec(bson.decode, None))


def waits_in_bytes(document: Any) -> set[str]:
    return set(document._data.pending) if type(document._data.pending) is core.Elements else set()


# What waits


def test_what_a_query_finds_waits_in_its_bytes(birds: list[Bird]) -> None:
    found = Bird.objects(name="bird 7").get()
    assert waits_in_bytes(found) >= {"id", "name", "eggs", "wing", "wings", "songs", "notes"}
    assert found.name == "bird 7"
    assert "name" not in waits_in_bytes(found)
    assert found.wing.length == 7.0
    assert waits_in_bytes(found.wing) == set()
    assert waits_in_bytes(found.wings[0]) == {"flaps"}


def test_a_value_is_decoded_once(birds: list[Bird]) -> None:
    found = Bird.objects.first()
    for name in Bird._fields_ordered:
        assert getattr(found, name) is getattr(found, name)


def test_an_absent_value_has_its_default_when_the_document_is_loaded(connection: None) -> None:
    made = from_bytes(Bird, {"_id": ObjectId(), "_cls": "Bird", "name": None})
    assert dict.items(made._data) >= {"eggs": 2, "name": None}.items()
    assert made.songs == []


def test_a_document_of_a_derived_class_is_one_of_it(birds: list[Bird]) -> None:
    Owl(name="owl", hours=3).save()
    owl = Bird.objects(name="owl").get()
    assert type(owl) is Owl
    assert "hours" in waits_in_bytes(owl)
    assert owl.hours == 3


def test_what_its_field_assigns_is_there_and_the_rest_waits(connection: None) -> None:
    anything = [1, {"a": 2}]
    raw = {"_id": ObjectId(), "name": "x", "colour": "red", "seen": WHEN, "anything": anything}
    made = from_bytes(Ringed, raw)
    assert waits_in_bytes(made) == {"id", "name"}
    assert (made.colour, made.seen, made.anything) == (Colour.RED, WHEN.date(), anything)
    assert made._get_changed_fields() == []
    less = from_bytes(Ringed, {"_id": raw["_id"], "name": "x", "seen": None})
    assert (less.colour, less.seen, less.anything) == (Colour.RED, None, None)


def test_all_batches_are_read_in_order(birds: list[Bird]) -> None:
    queries = Bird.objects.order_by("eggs")
    for queryset in (queries, queries.no_cache(), queries.batch_size(7), queries.limit(120)):
        found = [bird.eggs for bird in queryset]
        assert found == list(range(250))[: queryset._limit]


def test_a_changed_document_is_saved_with_the_change_alone(birds: list[Bird]) -> None:
    found = Bird.objects(eggs=9).get()
    found.wing.flaps = 4
    found.save()
    assert found.to_mongo() == Bird._get_collection().find_one({"eggs": 9})
    assert found.wing.to_mongo() == {"length": 9.0, "flaps": 4}


def pickled(document: Any) -> Any:
    return pickle.loads(pickle.dumps(document))


def stored(eggs: int) -> Any:
    return Bird._get_collection().find_one({"eggs": eggs})


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_is_equal(birds: list[Bird], copied: Callable[[Any], Any]) -> None:
    found = Bird.objects(eggs=5).get()
    assert copied(found).to_mongo() == stored(5)


def test_a_rollback_puts_back_what_waited(birds: list[Bird]) -> None:
    found = Bird.objects(eggs=6).get()
    put_back = snapshot(found)
    assert found.name == "bird 6"
    found.name = "gone"
    found.wing.length = 0.5
    found.notes["n"] = -1
    put_back()
    assert found.to_mongo() == stored(6)
    assert found._get_changed_fields() == []


def test_a_document_in_part_fetches_what_it_lacks(birds: list[Bird]) -> None:
    found = Bird.objects.only("name", "wing.length").get(eggs=8)
    assert waits_in_bytes(found) == {"id", "name", "wing"}
    assert found.songs == ["a"]
    assert found.wing.flaps is None
    assert list(Bird.objects(eggs=8).scalar("name", "eggs")) == [("bird 8", 8)]


# Who gets dictionaries


def test_whoever_asks_the_cursor_itself_goes_on_from_the_same_place(birds: list[Bird]) -> None:
    queryset = Bird.objects.no_cache().order_by("eggs").batch_size(20)

    ours = documents(queryset)
    assert [next(ours).eggs for _ in range(3)] == [0, 1, 2]
    raw = next(queryset._cursor)
    assert (type(raw), raw["eggs"]) == (dict, 3)
    assert next(queryset).eggs == 4
    assert [raw["eggs"] for raw in queryset._cursor.to_list(2)] == [5, 6]
    assert [bird.eggs for bird in ours] == list(range(7, 250))


def test_plans_and_dictionaries_are_as_before(birds: list[Bird]) -> None:
    queryset = Bird.objects(eggs=3)
    assert queryset.first().eggs == 3
    assert "queryPlanner" in queryset.explain()
    (raw,) = queryset.as_pymongo()
    assert type(raw["wing"]) is dict


@contextmanager
def options(**changed: Any) -> Iterator[Any]:
    """A queryset over a collection with other codec options."""
    collection: Any = Bird._get_collection()
    other = collection.with_options(collection.codec_options.with_options(**changed))
    queryset = Bird.objects(eggs=3)
    queryset._collection_obj = other
    yield queryset


class _Tenfold(TypeDecoder):
    bson_type = int

    def transform_bson(self, value: Any) -> Any:
        return value * 10


TIMES = [WHEN, datetime.min, datetime(9999, 12, 31, 23, 59, 59, 999000), datetime(2024, 2, 29)]


@pytest.mark.parametrize("when", [*TIMES, datetime(1900, 3, 1)], ids=str)
@pytest.mark.parametrize("is_aware", [False, True])
def test_times_have_the_zone_that_is_asked_for(
    birds: list[Bird], is_aware: bool, when: datetime
) -> None:
    Bird.objects(eggs=3).update(set__born=when)
    with options(tz_aware=is_aware) as queryset:
        found = queryset.first()
        (raw,) = queryset.as_pymongo()
    assert "born" in waits_in_bytes(found)
    assert found.born == raw["born"] == (when.replace(tzinfo=UTC) if is_aware else when)
    assert found.born.tzinfo is raw["born"].tzinfo


@pytest.mark.parametrize(
    "changed",
    [
        {"document_class": bson.SON},
        {"unicode_decode_error_handler": "ignore"},
        {"datetime_conversion": DatetimeConversion.DATETIME_AUTO},
        {"type_registry": TypeRegistry([_Tenfold()])},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_options_that_change_what_a_document_is_take_dictionaries(
    birds: list[Bird], changed: dict[str, Any]
) -> None:
    with options(**changed) as queryset:
        found = queryset.first()
    assert type(found._data.pending) is dict
    assert found.eggs == (30 if "type_registry" in changed else 3)


# What is out of the ordinary

ODD: list[dict[str, Any]] = [
    {"name": 5},
    {"eggs": Int64(2**40)},
    {"eggs": 2.0},
    {"born": "1961-04-12"},
    {"wing": {"length": 1, "flaps": Int64(3)}},
    {"wings": [{"flaps": 1}, {"length": None}]},
    {"notes": {"a": {"$ref": "birds", "$id": 1}}},
    {"notes": {"a": {"$db": 1}, "b": [{"c": [1, {"d": None}]}]}},
    {"notes": {"a": Decimal128("1.5"), "b": Timestamp(1, 2), "c": Regex("a", "i")}},
    {"notes": {"a": [MaxKey(), Binary(b"x", 5), b"bytes", 1.5, True, None, UUID(int=1), WHEN]}},
    {"ring": UUID(int=3)},
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_rare_value_is_what_it_is_in_a_dictionary(odd: dict[str, Any]) -> None:
    standard = CodecOptions(uuid_representation=4)  # type: ignore[var-annotated]
    data = bson.encode({"_id": ObjectId(), "_cls": "Bird", **odd}, codec_options=standard)
    codec = core.Codec(lambda raw: bson.decode(raw, standard), None)
    program = reading_program(Bird)
    assert program is not None
    with model_registry(Wing, Bird, Owl):
        expected = Bird._from_son(bson.decode(data, standard))
        found = program.load(data, codec)  # type: ignore[misc]
        for name in Bird._fields_ordered:
            left, right = getattr(found, name), getattr(expected, name)
            assert (type(left), left) == (type(right), right)


def test_the_last_of_two_values_under_one_key_counts(connection: None) -> None:
    once, twice = (bson.encode({"name": name})[4:-1] for name in ("first", "second"))
    body = once + twice
    data = (len(body) + 5).to_bytes(4, "little") + body + b"\0"
    assert from_bytes(Loose, data).name == bson.decode(data)["name"] == "second"


def test_an_unknown_key_is_refused_where_the_class_is_strict(connection: None) -> None:
    raw = {"_id": ObjectId(), "name": "x", "colour": "red"}
    assert from_bytes(Loose, raw).to_mongo()["colour"] == "red"
    with pytest.raises(FieldDoesNotExist, match="colour"):
        from_bytes(Bird, {**raw, "_cls": "Bird"})
    with pytest.raises(FieldDoesNotExist, match="colour"):
        from_bytes(Bird, {"_id": 1, "_cls": "Bird", "wing": {"colour": 1}}).wing  # noqa: B018


def test_a_value_that_does_not_fit_is_told_when_the_document_is_loaded(connection: None) -> None:
    with pytest.raises(InvalidDocumentError, match="wing"):
        from_bytes(Bird, {"_id": 1, "_cls": "Bird", "wing": 5})


MALFORMED = {
    "text that isn't UTF-8": b"\x02name\0\x02\0\0\0\xff\0",
    "text without its end": b"\x02name\0\x02\0\0\0ab",
    "a length beyond the end": b"\x02name\0\xff\0\0\0a\0",
    "a negative length": b"\x02name\0\xff\xff\xff\xffa\0",
    "a truth that is neither": b"\x08name\0\x02",
    "a time past the year 9999": b"\x09born\0" + (2**62).to_bytes(8, "little"),
    "no such type": b"\x30name\0",
    "a key without its end": b"\x0aname",
    "a document without its end": b"\x03notes\0\x05\0\0\0\x01",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bytes_are_told_as_by_bson(connection: None, body: bytes) -> None:
    data = (len(body) + 5).to_bytes(4, "little") + body + b"\0"
    with pytest.raises(InvalidBSON) as expected:
        bson.decode(data)
    with pytest.raises(InvalidBSON) as found:
        from_bytes(Loose, data)
    assert str(found.value) == str(expected.value)


# The parts themselves


def test_elements_are_a_mapping_of_what_waits(connection: None) -> None:
    raw = {"_id": ObjectId(), "_cls": "Bird", "name": "x", "songs": ["a", "b"]}
    made = from_bytes(Bird, raw)
    elements = made._data.pending
    other = elements.copy()
    assert ([*elements], len(elements), "name" in elements) == (["id", "name", "songs"], 3, True)
    assert (elements.get("songs"), elements.get("wing", 5)) == (["a", "b"], 5)
    assert (elements.discard("name"), elements.discard("name"), elements.discard("no")) == (
        True, False, False,
    )  # fmt: skip
    assert ("name" in elements, "name" in other) == (False, True)
    with pytest.raises(TypeError):
        core.Elements()


def test_a_reply_is_parted_from_its_batch() -> None:
    documents = [{"a": n, "b": {"c": [n]}} for n in range(3)]
    reply = {"cursor": {"firstBatch": documents, "id": 5, "ns": "a.b"}, "ok": 1.0}
    rest, batch = core.split_reply(memoryview(bson.encode(reply)))
    assert [*map(bson.decode, batch)] == documents
    assert bson.decode(rest) == {"cursor": {"firstBatch": [], "id": 5, "ns": "a.b"}, "ok": 1.0}


@pytest.mark.parametrize(
    "reply",
    [{"ok": 0.0}, {"cursor": 1}, {"cursor": {"id": 1}}, {"cursor": {"nextBatch": [1, 2]}}],
    ids=repr,
)
def test_a_reply_without_a_batch_stays_whole(reply: dict[str, Any]) -> None:
    assert core.split_reply(bson.encode(reply)) is None
    assert core.split_reply(bson.encode(reply)[:-1]) is None


def test_the_server_is_asked_as_before_and_its_errors_are_raised(birds: list[Bird]) -> None:
    with pytest.raises(OperationFailure, match="nonsense"):
        list(Bird.objects(__raw__={"$nonsense": 1}))
    assert db.status()["default"]["connected"]


def test_a_mapping_is_not_decoded_when_its_document_is_loaded() -> None:
    decoded: list[bytes] = []

    def decode(raw: bytes) -> Any:
        decoded.append(raw)
        return bson.decode(raw)

    program: Any = reading_program(Bird)
    raw = bson.encode({"_cls": "Bird", "notes": {"a": Decimal128("1")}})
    found = program.load(raw, core.Codec(decode, None))  # it decodes decimals
    assert decoded == []
    assert found.notes == {"a": Decimal128("1")}
    assert len(decoded) == 1
