"""New documents are sent as BSON that is encoded straight from their values: it is what the driver
makes of their dictionaries, and whatever that would be refused for is refused as before.
"""

from __future__ import annotations

import functools
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch
from uuid import UUID

import bson
import mongoengine as me
import mongomock
import pytest
from bson import SON, Binary, DBRef, Decimal128, Int64, ObjectId, Regex
from bson.codec_options import TypeEncoder, TypeRegistry
from fresh_databases import connected, emptied, settings_for
from hypothesis import given
from hypothesis import strategies as st
from observing import commands_sent
from pymongo.collection import Collection
from test_differential import EXAMPLES, WHEN, Definition, definitions, documents
from twins import ENGINE, registered

from datalayer.documents import (
    BusinessDocument,
    Document,
    EmbeddedDocument,
    UTCDateTimeField,
)
from datalayer.documents.engine import EncodedDocument, core
from datalayer.documents.engine.compiling import program_of
from datalayer.documents.fields.bson_limits import ENCODING, check_document
from datalayer.documents.model_collection import insertable
from datalayer.documents.save import new_ids
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

compiled = pytest.mark.skipif(core is None, reason="of the part in C")
ID = ObjectId("6561f7a5c2f4f0a1b2c3d4e5")


class EncodedPart(EmbeddedDocument):
    text = me.StringField(db_field="t")
    number = me.IntField(null=True)
    inner = me.EmbeddedDocumentField("EncodedPart")


class EncodedWhole(BusinessDocument):
    name = me.StringField(unique=True, sparse=True)
    size = me.IntField(null=True)
    ratio = me.FloatField()
    is_open = me.BooleanField(choices=(True, False))
    seen_at = me.DateTimeField()
    known_at = UTCDateTimeField()
    free = me.DictField()
    items = me.ListField()
    numbers = me.ListField(me.IntField())
    part = me.EmbeddedDocumentField(EncodedPart)
    parts = me.EmbeddedDocumentListField(EncodedPart)
    listed = me.ListField(me.EmbeddedDocumentField(EncodedPart))
    mapped = me.MapField(me.EmbeddedDocumentField(EncodedPart))
    owner = me.ReferenceField("self")
    anything = me.DynamicField()
    token = me.UUIDField()
    price = me.Decimal128Field()
    data = me.BinaryField()
    meta = {"allow_inheritance": True}


class EncodedChild(EncodedWhole):
    more = me.StringField()


class EncodedByUuid(Document):
    token = me.UUIDField(primary_key=True)
    name = me.StringField()


class EncodedLoosely(Document):
    name = me.StringField()
    meta = {"strict": False}


class WritesItself(Document):
    name = me.StringField()

    def to_mongo(self, *args: Any, **kwargs: Any) -> Any:
        stored = super().to_mongo(*args, **kwargs)
        stored["written_by"] = "itself"
        return stored


class CreatesItself(Document):
    name = me.StringField()

    def _save_create(self, doc: Any, force_insert: bool, write_concern: Any) -> Any:
        doc["created_by"] = "itself"
        return super()._save_create(doc, force_insert, write_concern)


MODELS = (
    EncodedPart, EncodedWhole, EncodedChild, EncodedByUuid, EncodedLoosely, WritesItself,
    CreatesItself,
)  # fmt: skip
ALIASES = ("default",)


@pytest.fixture
def server(shared: Settings) -> None:
    emptied(shared)


def encode(document: Any, options: Any = ENCODING) -> bytes | None:
    found = program_of(type(document)).encode(document, options)
    return None if found is None else found.raw


def by_the_driver(document: Any) -> bytes:
    return bson.encode(program_of(type(document)).write(document, None), codec_options=ENCODING)


# What is encoded

PART = EncodedPart(text="ä", number=None, inner=EncodedPart(text="in", number=5))
VALUES: dict[str, Any] = {
    "name": ["plain", "", "ä𝄞", "with\0nul", "x" * 5000],
    "size": [0, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, -(2**63), True, None],
    "ratio": [0.0, -2.5, float("inf"), float("nan"), 1e308],
    "is_open": [True, False],
    "seen_at": [
        WHEN,
        datetime(1, 1, 1),
        datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime(1969, 12, 31, 23, 59, 59, 999999),
        datetime(2000, 2, 29),
        datetime(1900, 3, 1, 1),
        datetime(2024, 5, 6, tzinfo=timezone(timedelta(hours=-3))),
    ],
    "known_at": [datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)],
    "free": [{}, {"a": {"b": [1, None, {"c": "é"}]}, "ключ": Int64(5)}, {"deep": SON(b=1, a=2)}],
    "items": [[], list(range(120)), [[[]], {"a": WHEN.replace(tzinfo=UTC)}, (1, 2)]],
    "numbers": [[1, 2**40]],
    "part": [PART, EncodedPart()],
    "parts": [[], [PART, EncodedPart(text="b")] * 6],
    "listed": [[PART]],
    "mapped": [{"a": PART}],
    "owner": [DBRef("encoded_whole", ID)],
    "anything": [b"bytes", Binary(b"a", 5), Regex("a.*", "i"), re.compile("a"), UUID(int=3)],
    "token": [UUID(int=7)],
    "price": [Decimal128("1.50")],
    "data": [b"", b"\0binary"],
}
CASES = [(name, value) for name, values in VALUES.items() for value in values]


@compiled
@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{n}-{str(v)[:20]}" for n, v in CASES])
def test_a_value_is_encoded_as_the_driver_encodes_what_is_written_of_it(
    name: str, value: Any
) -> None:
    document = EncodedWhole(id=ID)
    document._data[name] = value
    assert encode(document) == by_the_driver(document)


@compiled
def test_a_child_is_encoded_with_its_class_name_behind_its_id() -> None:
    document = EncodedChild(id=ID, more="m", name="n")
    assert encode(document) == by_the_driver(document)
    assert list(bson.decode(encode(document) or b""))[:2] == ["_id", "_cls"]


@compiled
def test_lists_and_mappings_that_tell_of_their_changes_are_encoded() -> None:
    document = EncodedWhole(id=ID, free={"a": []}, items=[{}], parts=[EncodedPart()])
    document.free["a"].append({"b": 1})
    document.items[0]["c"] = [1]
    document.parts.append(EncodedPart(text="new"))
    assert encode(document) == by_the_driver(document)


@compiled
def test_a_loaded_document_is_encoded_whatever_was_read_of_it() -> None:
    raw = by_the_driver(EncodedWhole(id=ID, part=PART, parts=[PART], free={"a": [1]}, items=[{}]))
    document = EncodedWhole._from_son(bson.decode(raw))
    assert document.parts[0].text == "ä"
    assert encode(document) == by_the_driver(document)


@compiled
@EXAMPLES
@given(st.data())
def test_any_document_of_any_class_is_encoded_as_written_or_left(data: st.DataObject) -> None:
    definition: Definition = data.draw(definitions())
    raw = data.draw(documents(definition))
    model, part = definition.twin(ENGINE)
    with registered(model, part):
        try:
            document = model._from_son(raw)
            document.validate()
            written = by_the_driver(document)
        except Exception:  # whatever it is, nothing is encoded then
            return
        encoded = encode(document) if program_of(model).encode else None
    assert encoded in (None, written)
    if encoded is not None:
        check_document(bson.decode(encoded), "here")


# What is refused


class Unknown:
    """Of a type that BSON lacks."""


def nested(levels: int) -> Any:
    inner: Any = "end"
    for _ in range(levels):
        inner = [inner]
    return inner


REFUSED: dict[str, Any] = {
    "integer": {"a": 2**63},
    "surrogate": {"a": "\ud800"},
    "dot": {"a.b": 1},
    "dollar": {"$a": 1},
    "nul": {"a\0": 1},
    "surrogate in a key": {"\ud800": 1},
    "no text": {1: 1},
    "level": {"a": nested(99)},
    "size": {"a": "x" * (16 * 1024 * 1024)},
    "type": {"a": Unknown()},
    "type in a list": {"a": [Unknown()]},
}


@compiled
@pytest.mark.parametrize("free", REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_stored_is_refused_as_on_the_way_over_a_dictionary(
    server: None, free: Any
) -> None:
    document = EncodedWhole()
    document._data["free"] = free
    document._prepare_insert()
    with pytest.raises(me.ValidationError) as expected:
        check_document(program_of(EncodedWhole).write(document, None), "encoded_whole")
    for write in (
        lambda: document.save(validate=False),
        lambda: EncodedWhole.objects.insert([EncodedWhole(), document], validate=False),
    ):
        with pytest.raises(me.ValidationError) as refused:
            write()
        assert str(refused.value) == str(expected.value)
        assert refused.value.to_dict() == expected.value.to_dict()
    assert EncodedWhole.objects.count() == 0
    assert encode(document) is None


@compiled
@pytest.mark.parametrize("levels", [97, 98])
def test_a_hundred_levels_are_encoded(levels: int) -> None:
    document = EncodedWhole(id=ID, free={"a": nested(levels)})
    assert encode(document) == by_the_driver(document)
    check_document(program_of(EncodedWhole).write(document, None), "here")


@compiled
def test_parts_within_parts_are_encoded_to_the_last_level() -> None:
    part = EncodedPart()
    for _ in range(98):
        part = EncodedPart(inner=part)
    fits, is_too_deep = EncodedWhole(id=ID, part=part), EncodedWhole(id=ID, parts=[part])
    assert encode(fits) == by_the_driver(fits)
    check_document(program_of(EncodedWhole).write(fits, None), "here")
    assert encode(is_too_deep) is None
    with pytest.raises(me.ValidationError, match="levels"):
        check_document(program_of(EncodedWhole).write(is_too_deep, None), "here")


@compiled
def test_a_part_within_itself_is_left_to_the_way_over_a_dictionary() -> None:
    part = EncodedPart()
    part._data["inner"] = part
    assert encode(EncodedWhole(id=ID, part=part)) is None


@compiled
def test_a_document_without_an_id_is_left_to_the_driver() -> None:
    assert encode(EncodedWhole(name="a")) is None


@compiled
@pytest.mark.parametrize("value", ["x", b"x"])
def test_large_values_are_left_to_the_driver_which_copies_them_once(
    server: None, value: Any
) -> None:
    document = EncodedWhole(id=ID, anything=value * 65536)
    assert encode(document) == by_the_driver(document)
    document.anything = value * 65537
    assert encode(document) is None
    document.save()
    assert EncodedWhole.objects.get(id=ID).anything == document.anything


@compiled
def test_what_a_fields_own_writing_raises_comes_out() -> None:
    document = EncodedWhole(id=ID, owner=EncodedWhole())
    with pytest.raises(me.ValidationError, match="You can only reference documents once"):
        encode(document)


# What is sent


@contextmanager
def documents_sent() -> Iterator[list[Any]]:
    """What the driver is given to insert inside."""
    given: list[Any] = []
    one, many = Collection.insert_one, Collection.insert_many

    def insert_one(self: Any, document: Any, *args: Any, **options: Any) -> Any:
        given.append(document)
        return one(self, document, *args, **options)

    def insert_many(self: Any, documents: Any, *args: Any, **options: Any) -> Any:
        given.extend(documents)
        return many(self, documents, *args, **options)

    with (
        patch.object(Collection, "insert_one", insert_one),
        patch.object(Collection, "insert_many", insert_many),
    ):
        yield given


def kinds_sent(act: Callable[[], object]) -> set[type]:
    with documents_sent() as sent:
        act()
    return set(map(type, sent))


def everything() -> EncodedChild:
    values = {name: found[-1] for name, found in VALUES.items() if name != "anything"}
    return EncodedChild(**{**values, "name": "everything", "anything": [1, "a"], "more": "m"})


@compiled
def test_new_documents_are_sent_encoded(server: None) -> None:
    assert kinds_sent(lambda: EncodedWhole(name="a").save()) == {EncodedDocument}
    assert kinds_sent(lambda: EncodedWhole.objects.insert(EncodedWhole())) == {EncodedDocument}
    some = [EncodedWhole(name="b"), EncodedChild(name="c")]
    assert kinds_sent(lambda: EncodedWhole.objects.insert(some)) == {EncodedDocument}
    assert EncodedWhole.objects.count() == 4


def test_what_is_stored_is_what_a_dictionary_stores(server: None) -> None:
    saved, inserted, many = everything(), everything(), [everything(), everything()]
    saved.save()
    raw = EncodedWhole._get_collection()
    stored = [raw.find_one({"_id": saved.pk})]
    saved.delete()
    EncodedChild.objects.insert(inserted)
    stored.append(raw.find_one({"_id": inserted.pk}))
    inserted.delete()
    many[0].name = "other"
    EncodedChild.objects.insert(many)
    stored.append(raw.find_one({"_id": many[1].pk}))
    many[1].delete()
    plain = everything()
    plain._prepare_insert()
    raw.insert_one(program_of(EncodedChild).write(plain, None))
    stored.append(raw.find_one({"_id": plain.pk}))
    changing = ("_id", "created_at", "updated_at")
    fixed = [{k: v for k, v in each.items() if k not in changing} for each in stored]
    assert fixed[0] == fixed[1] == fixed[2] == fixed[3]
    assert EncodedChild.objects.get(id=plain.pk).parts[0].text == "ä"


def test_inserted_documents_are_as_saved_ones(server: None) -> None:
    one, two = EncodedWhole.objects.insert([EncodedWhole(name="a", part=PART), EncodedWhole()])
    for each in (one, two):
        assert not each._created
        assert each._get_changed_fields() == []
        assert each.created_at == each.updated_at
    one.part.text = "changed"
    one.save()
    assert EncodedWhole.objects.get(id=one.pk).part.text == "changed"


def test_ids_come_back_as_they_are_stored(server: None) -> None:
    tokens = [UUID(int=n) for n in (1, 2)]
    insert = EncodedByUuid.objects.insert
    assert insert([EncodedByUuid(token=each) for each in tokens], load_bulk=False) == tokens
    assert insert(EncodedByUuid(token=UUID(int=3)), load_bulk=False) == UUID(int=3)
    document = EncodedByUuid(token=UUID(int=4))
    document.save(force_insert=True)
    assert document.token == UUID(int=4)
    assert EncodedByUuid.objects.count() == 4
    keys = EncodedWhole.objects.insert([EncodedWhole(), EncodedWhole()], load_bulk=False)
    assert keys == [each.pk for each in EncodedWhole.objects.order_by("id")]


def test_documents_that_are_encoded_and_such_that_are_not_go_together(server: None) -> None:
    some = [EncodedWhole(name="a"), EncodedWhole(anything=(1, 2)), EncodedWhole(name="c")]
    keys = EncodedWhole.objects.insert(some, load_bulk=False)
    assert keys == [each.pk for each in some]
    assert EncodedWhole.objects.get(id=keys[1]).anything == [1, 2]


def test_duplicates_are_told_as_before_and_without_values(server: None) -> None:
    EncodedWhole(name="secret").save()
    with pytest.raises(me.NotUniqueError) as saving:
        EncodedWhole(name="secret").save()
    with pytest.raises(me.NotUniqueError):
        EncodedWhole.objects.insert(EncodedWhole(name="secret"))
    with pytest.raises(me.errors.BulkWriteError) as inserting:
        EncodedWhole.objects.insert([EncodedWhole(name="new"), EncodedWhole(name="secret")])
    assert "dup key: ***" in str(saving.value)
    assert "'op': '***'" in str(inserting.value)
    assert "secret" not in str(saving.value) + str(inserting.value)
    assert EncodedWhole.objects.count() == 2


def test_what_writes_itself_is_not_encoded(server: None) -> None:
    assert kinds_sent(lambda: WritesItself.objects.insert([WritesItself()])) == {SON}
    assert kinds_sent(WritesItself(name="a").save) == {SON}
    assert kinds_sent(CreatesItself(name="a").save) == {dict}
    raw = CreatesItself._get_collection().find_one()
    assert (raw["created_by"], raw["name"]) == ("itself", "a")
    assert WritesItself._get_collection().count_documents({"written_by": "itself"}) == 2


def test_unknown_keys_are_stored(server: None) -> None:
    document = EncodedLoosely._from_son({"_id": ID, "name": "a", "unknown": {"b": [1]}})
    document.save(force_insert=True)
    assert EncodedLoosely._get_collection().find_one({}, {"_id": 0}) == {
        "name": "a", "unknown": {"b": [1]},
    }  # fmt: skip


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class CelsiusEncoder(TypeEncoder):
    python_type = Celsius

    def transform_python(self, value: Any) -> float:
        return float(value.degrees)


def test_collections_with_options_of_their_own_are_served_by_the_driver(server: None) -> None:
    options = ENCODING.with_options(type_registry=TypeRegistry([CelsiusEncoder()]))
    collection = EncodedWhole._get_collection().with_options(codec_options=options)
    document = EncodedWhole(id=ID)
    document._data["anything"] = Celsius(3)
    sent = insertable([document], collection)[0]
    assert type(sent) is dict
    assert type(sent["anything"]) is Celsius


def test_encrypting_clients_get_dictionaries(server: None) -> None:
    collection = EncodedWhole._get_collection()
    kind = type(collection.database.client.options)
    with patch.object(kind, "auto_encryption_opts", property(lambda self: object())):
        assert type(insertable([EncodedWhole(id=ID)], collection)[0]) is dict


def test_mongomock_gets_dictionaries() -> None:
    collection = mongomock.MongoClient().test.things
    assert type(insertable([EncodedWhole(id=ID)], collection)[0]) is dict


def test_listeners_to_commands_see_documents(mongod: EmbeddedMongo) -> None:
    with commands_sent() as sent, connected(settings_for(mongod, "default")):
        sent.clear()
        document = EncodedWhole(name="a", token=UUID(int=1)).save()
    shown = dict(zip(sent.names, sent.commands, strict=True))["insert"]["documents"][0]
    assert isinstance(shown, Mapping)
    assert (shown["_id"], shown["name"], shown["token"]) == (document.pk, "a", UUID(int=1))
    assert repr(dict(shown)) == repr(shown)


# The document that is sent


def test_an_encoded_document_is_a_mapping_of_plain_values() -> None:
    raw = bson.encode({"_id": 1, "a": {"b": [UUID(int=1)]}}, codec_options=ENCODING)
    document = EncodedDocument(raw)
    assert dict(document) == {"_id": 1, "a": {"b": [UUID(int=1)]}} == document
    assert (len(document), list(document), "a" in document) == (2, ["_id", "a"], True)
    assert type(document["a"]) is dict
    assert pickle.loads(pickle.dumps(document)) == document
    assert bson.encode(document) == raw
    assert document != EncodedDocument(bson.encode({"_id": 2}))


# Ids


def test_ids_are_those_that_the_driver_goes_on_with() -> None:
    ids = [ObjectId(), *new_ids(3), ObjectId(), *new_ids(1), ObjectId()]
    assert ids == sorted(ids)
    assert len({each.binary[4:9] for each in ids}) == 1
    assert len(set(ids)) == len(ids)


def test_the_counter_of_ids_begins_again_after_its_last() -> None:
    with patch.object(ObjectId, "_inc", 2**24 - 2):
        ids = new_ids(3)
        assert [each.binary[9:].hex() for each in ids] == ["fffffe", "ffffff", "000000"]
        assert ObjectId._inc == 1


@compiled
@pytest.mark.parametrize("prefix", [b"", b"12345678", b"1234567890"])
def test_a_prefix_of_another_length_is_refused(prefix: bytes) -> None:
    with pytest.raises(ValueError, match="9 bytes"):
        core.object_ids(prefix, 1, 1)


# What a document takes of its keywords


def test_a_document_shares_nothing_with_the_dictionary_that_it_was_made_of() -> None:
    given = {"text": "a", "number": 1}
    make = functools.partial(EncodedPart, **given)
    one, two = make(), make()
    one.text = "changed"
    assert (two.text, make().text, given["text"]) == ("a", "a", "a")
    one.__init__(**given)
    assert (one.text, given) == ("a", {"text": "a", "number": 1})


def test_keywords_that_are_no_fields_are_refused() -> None:
    with pytest.raises(me.FieldDoesNotExist, match="other"):
        EncodedPart(text="a", other=1)


def test_init_can_be_called_as_a_function_of_the_class() -> None:
    part = EncodedPart.__new__(EncodedPart)
    EncodedPart.__init__(part, text="a")
    assert part.text == "a"
    assert EncodedPart.__init__.__name__ in ("__init__", "_init")
    with pytest.raises(TypeError):
        EncodedPart.__init__()
    with pytest.raises(TypeError, match="positional"):
        EncodedPart("a")
