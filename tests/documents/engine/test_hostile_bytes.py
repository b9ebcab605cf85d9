"""A document that is loaded from its bytes is the one that ``bson`` and the way of dictionaries
make of them, value by value, or fails with the same error: also where the bytes are malformed, cut
off or made to harm."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from random import Random
from typing import Any

import bson
import mongoengine as me
import pytest
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from hostile_bson import DOCUMENT, Schema, document, element, hostile, int32, nested, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loading_bytes import from_bytes
from twins import Colour, failed, outcome, shown

from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.engine import core
from datalayer.documents.engine.mixins import reading_program

pytestmark = pytest.mark.skipif(core is None, reason="of the part in C")

CODEC_OPTIONS = {
    "plain": CodecOptions[dict[str, Any]](),
    "time zones": CodecOptions[dict[str, Any]](tz_aware=True),
    "UUIDs": CodecOptions[dict[str, Any]](uuid_representation=UuidRepresentation.STANDARD),
}


class Part(EmbeddedDocument):
    n = me.IntField()
    text = me.StringField()
    due = me.DateTimeField()
    inner = me.EmbeddedDocumentField("self")
    tags = me.ListField(me.StringField())


class LoosePart(EmbeddedDocument):
    n = me.IntField()
    free = me.DictField()

    meta = {"strict": False}


class Animal(EmbeddedDocument):
    n = me.IntField()

    meta = {"allow_inheritance": True}


class Dog(Animal):
    text = me.StringField()


FIELDS: dict[str, Callable[[], Any]] = {
    "name": me.StringField,
    "count": me.IntField,
    "rate": me.FloatField,
    "flag": me.BooleanField,
    "due": me.DateTimeField,
    "owner": me.ObjectIdField,
    "price": me.DecimalField,
    "exact": me.Decimal128Field,
    "key": me.UUIDField,
    "blob": me.BinaryField,
    "day": me.DateField,
    "colour": lambda: me.EnumField(Colour),
    "free_kind": me.DynamicField,
    "tags": lambda: me.ListField(me.StringField()),
    "numbers": lambda: me.ListField(me.IntField()),
    "anything": me.ListField,
    "free": me.DictField,
    "mapped": lambda: me.MapField(me.IntField()),
    "part": lambda: me.EmbeddedDocumentField(Part),
    "loose": lambda: me.EmbeddedDocumentField(LoosePart),
    "animal": lambda: me.EmbeddedDocumentField(Animal),
    "parts": lambda: me.EmbeddedDocumentListField(Part),
    "listed": lambda: me.ListField(me.EmbeddedDocumentField(Part)),
    "animals": lambda: me.ListField(me.EmbeddedDocumentField(Animal)),
    "generic": me.GenericEmbeddedDocumentField,
}


def model(name: str, **meta: Any) -> Any:
    fields = {name: make() for name, make in FIELDS.items()}
    return type(Document)(name, (Document,), {**fields, "meta": meta})


MODELS = {
    "strict": model("HostileStrict"),
    "loose": model("HostileLoose", strict=False),
    "inherited": model("HostileInherited", allow_inheritance=True),
}

type(MODELS["inherited"])("HostileHeir", (MODELS["inherited"],), {"more": me.IntField()})

PART: Schema = {
    b"n": {0x10: None, 0x12: None},
    b"text": {0x02: None, 0x0A: None},
    b"due": {0x09: None},
    b"inner": {0x03: {b"n": {0x10: None}}},
    b"tags": {0x04: {0x02: None}},
}
ANIMAL: Schema = {
    b"n": {0x10: None},
    b"text": {0x02: None},
    b"_cls": {0x02: (b"Animal", b"Animal.Dog")},
}
SCHEMA: Schema = {
    b"_id": {0x07: None},
    b"name": {0x02: None, 0x0A: None},
    b"count": {0x10: None, 0x12: None, 0x01: None},
    b"rate": {0x01: None, 0x10: None},
    b"flag": {0x08: None},
    b"due": {0x09: None, 0x02: None},
    b"owner": {0x07: None},
    b"price": {0x13: None, 0x01: None},
    b"exact": {0x13: None},
    b"key": {0x05: None, 0x02: None},
    b"blob": {0x05: None},
    b"day": {0x09: None, 0x02: None},
    b"colour": {0x02: (b"red", b"blue")},
    b"free_kind": {0x02: None, 0x03: {b"a": {}}, 0x04: {}},
    b"_cls": {0x02: (b"HostileInherited", b"HostileInherited.HostileHeir")},
    b"tags": {0x04: {0x02: None}},
    b"numbers": {0x04: {0x10: None, 0x12: None}},
    b"anything": {0x04: {}},
    b"free": {0x03: {b"a": {}, b"b": {}}},
    b"mapped": {0x03: {b"a": {0x10: None}, b"b": {0x10: None}}},
    b"part": {0x03: PART},
    b"loose": {0x03: {**PART, b"free": {0x03: {b"a": {}}}}},
    b"animal": {0x03: ANIMAL},
    b"parts": {0x04: {0x03: PART}},
    b"listed": {0x04: {0x03: PART}},
    b"animals": {0x04: {0x03: ANIMAL}},
    b"generic": {0x03: ANIMAL},
}

LOOKS: tuple[Callable[[Any], Any], ...] = (
    shown,
    lambda document: document.to_mongo(),
    lambda document: document.validate(),
    lambda document: sorted(document._data.items(), key=itemgetter(0)),
    lambda document: document.part and document.part.inner and document.part.inner.n,
    lambda document: shown(pickle.loads(pickle.dumps(document))),
    lambda document: shown(copy.deepcopy(document)),
    lambda document: [document.to_json(), document._get_changed_fields()],
    lambda document: [document.parts and document.parts[0].text, document.to_mongo()],
)


def from_a_dictionary(model: Any, raw: bytes, options: Any) -> Any:
    program: Any = reading_program(model)
    return program.read(bson.decode(raw, options), False)


def check(raw: bytes, model: Any, options: Any, look: Callable[[Any], Any] = shown) -> None:
    found = outcome(lambda: look(from_bytes(model, raw, options)))
    assert found == outcome(lambda: look(from_a_dictionary(model, raw, options))), raw


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    random=st.randoms(use_true_random=True),
    name=st.sampled_from(sorted(MODELS)),
    options=st.sampled_from(sorted(CODEC_OPTIONS)),
    look=st.sampled_from(LOOKS),
)
def test_hostile_bytes_are_read_as_bson_reads_them(
    random: Random, name: str, options: str, look: Callable[[Any], Any]
) -> None:
    check(hostile(random, SCHEMA), MODELS[name], CODEC_OPTIONS[options], look)


NAME = element(2, b"name", text(b"a"))
OTHER = element(2, b"name", text(b"b"))
NO_NAME = element(0x0A, b"name", b"")
PART_TWICE = element(3, b"part", document(element(0x10, b"n", int32(1)) * 2))
REFERENCE = document(element(2, b"$ref", text(b"a")) + element(0x10, b"$id", int32(1)))

MADE_BY_HAND = {
    "nothing": b"",
    "less than a length": b"\5\0\0",
    "an empty one": document(b""),
    "more after its end": document(NAME) + b"\0",
    "a negative length": b"\xff\xff\xff\xff" + document(NAME)[4:],
    "a huge length": b"\xff\xff\xff\x7f" + document(NAME)[4:],
    "no end": document(NAME)[:-1] + b"\1",
    "a key without an end": document(b"\x0aname"),
    "a text without an end": document(element(2, b"name", int32(2) + b"aa")),
    "a text of no length": document(element(2, b"name", int32(0) + b"\0")),
    "a text longer than the document": document(element(2, b"name", int32(2**31 - 1) + b"a\0")),
    "a text of a negative length": document(element(2, b"name", int32(-5) + b"a\0")),
    "a key that isn't UTF-8": document(element(0x10, b"\xff", int32(1))),
    "a key twice": document(NAME + OTHER),
    "a key twice, then null": document(NAME + NO_NAME),
    "a key twice, null before": document(NO_NAME + NAME),
    "a part's key twice": document(PART_TWICE),
    "a part twice": document(PART_TWICE + element(3, b"part", document(b""))),
    "a reference in place of a mapping": document(element(3, b"free", REFERENCE)),
    "a reference in place of a part": document(element(3, b"part", REFERENCE)),
    "a reference in place of a loose part": document(element(3, b"loose", REFERENCE)),
    "a reference among parts": document(
        element(4, b"parts", document(element(3, b"0", REFERENCE)))
    ),
    "an array with strange keys": document(element(4, b"tags", document(OTHER + NAME + NAME))),
    "a binary longer than the document": document(element(5, b"key", int32(100) + b"\4a")),
    "an old binary whose lengths differ": document(element(5, b"key", int32(5) + b"\2\0\0\0\0a")),
    "a short UUID": document(element(5, b"key", int32(3) + b"\4abc")),
    "a boolean of 2": document(element(8, b"flag", b"\2")),
    "a part longer than the document": document(element(3, b"part", int32(100) + b"\0")),
    "a part shorter than it is": document(element(3, b"part", int32(5) + document(NAME)[4:])),
}


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("raw", MADE_BY_HAND.values(), ids=MADE_BY_HAND)
def test_malformed_bytes_are_read_as_bson_reads_them(raw: bytes, name: str) -> None:
    for options in CODEC_OPTIONS.values():
        for look in LOOKS:
            check(raw, MODELS[name], options, look)


@pytest.mark.parametrize("levels", [2, 50, 98, 99, 100, 101, 150, 3_000, 10_000])
@pytest.mark.parametrize(
    ("kind", "within", "key"),
    [(3, b"free", b"free"), (4, b"anything", b"0"), (3, b"part", b"inner"), (3, b"part", b"deep")],
)
def test_documents_too_deep_are_read_as_bson_reads_them(
    levels: int, kind: int, within: bytes, key: bytes
) -> None:
    raw = document(element(kind, within, nested(levels, kind, key)))
    for look in (shown, LOOKS[1]):
        check(raw, MODELS["strict"], CODEC_OPTIONS["plain"], look)


def whole_reply(raw: bytes) -> Any:
    """What the driver makes of a reply."""
    reply = bson.decode(raw)
    assert isinstance(reply["cursor"], dict)
    return reply


def split_and_put_together(raw: bytes) -> Any:
    """The same of the two parts of it."""
    split = core.split_reply(raw)
    if split is None:
        return whole_reply(raw)
    reply, documents = whole_reply(split[0]), [bson.decode(each) for each in split[1]]
    cursor = reply["cursor"]
    batch = "firstBatch" if "firstBatch" in cursor else "nextBatch"
    assert cursor[batch] == []
    cursor[batch] = documents
    return reply


REPLY: Schema = {
    b"cursor": {
        DOCUMENT: {
            b"firstBatch": {4: {3: SCHEMA}},
            b"nextBatch": {4: {3: SCHEMA}},
            b"id": {0x12: None},
            b"ns": {0x02: None},
        }
    },
    b"ok": {0x01: None},
    b"$clusterTime": {3: {b"clusterTime": {0x11: None}}},
}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=True))
def test_a_hostile_reply_is_cut_into_what_bson_finds_in_it(random: Random) -> None:
    check_reply(hostile(random, REPLY))


def check_reply(raw: bytes) -> None:
    found, expected = (
        outcome(partial(read, raw)) for read in (split_and_put_together, whole_reply)
    )
    if failed(expected):  # with which words, is found out where the document is read
        assert failed(found), raw
    else:
        assert found == expected, raw


@pytest.mark.parametrize("name", sorted(MODELS))
def test_these_classes_are_loaded_from_bytes(name: str) -> None:
    program: Any = reading_program(MODELS[name])
    assert program.load is not None
