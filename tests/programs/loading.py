"""Loads documents again and again, and does with them what programs do; prints what stays behind
of each action, as JSON: objects that the collector knows, blocks and kilobytes of memory, and
references to what the documents have in common.

loading.py LOADS bytes|dictionaries
"""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from bson import Decimal128, ObjectId, encode
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from mongoengine import (
    DateTimeField,
    DecimalField,
    DictField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FieldDoesNotExist,
    IntField,
    InvalidDocumentError,
    ListField,
    StringField,
)

from datalayer.documents import Document, EmbeddedDocument

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from loading_bytes import loader

LOADS, WAY = int(sys.argv[1]), sys.argv[2]
WARMING = 200


class Part(EmbeddedDocument):
    n = IntField()
    text = StringField()
    inner = EmbeddedDocumentField("self")


class Whole(Document):
    name = StringField(required=True)
    due = DateTimeField()
    price = DecimalField()
    tags = ListField(StringField())
    part = EmbeddedDocumentField(Part)
    parts = EmbeddedDocumentListField(Part)
    free = DictField()


def raw(**other: Any) -> dict[str, Any]:
    return {
        "_id": ObjectId(),
        "name": "a name that is as long as names are",
        "due": datetime(2026, 1, 2),
        "price": Decimal128("1.50"),
        "tags": ["one", "two"],
        "part": {"n": 1 << 40, "text": "a text", "inner": {"n": 2 << 40}},
        "parts": [{"n": 3 << 40}, {"text": "another text"}],
        "free": {"a": [{"b": "c"}]},
        **other,
    }


RAW = raw()
UNKNOWN, UNKNOWN_DEEPER = raw(unknown=1), raw(part={"n": 1, "unknown": [1]})
WRONG, WRONG_LATER = raw(part=[1], name=[1]), raw(parts=[1], price={"a": 1})
LISTENED = raw(name=None, due="2026-01-02", part=None)


GIVEN = (RAW, UNKNOWN, UNKNOWN_DEEPER, WRONG, WRONG_LATER, LISTENED)
ENCODED = {id(given): encode(given) for given in GIVEN}
LOAD = loader(Whole) if WAY == "bytes" else None


TABLE: Any = Whole.__dict__.get("_engine_table")
KEY = ObjectId()


def loaded(given: dict[str, Any] = RAW) -> Any:
    return Whole._from_son(given) if LOAD is None else LOAD(ENCODED[id(given)])


def load() -> None:
    loaded()


def read() -> None:
    whole = loaded()
    assert (whole.part.inner.n, whole.parts[1].text) == (2 << 40, "another text")
    assert (whole.tags[0], whole.free["a"][0]["b"]) == ("one", "c")
    assert whole.name
    assert whole.price
    assert whole.due


def read_and_keep_the_part() -> None:
    part = loaded().part
    assert part.n == 1 << 40


def load_out_of_the_ordinary() -> None:
    assert loaded(LISTENED).part is None


def change() -> None:
    whole = loaded()
    whole.part.inner.n = 5
    whole.tags.append("three")
    whole.name = "b"
    assert sorted(whole._get_changed_fields()) == ["name", "part.inner.n", "tags"]


def validate_and_write() -> None:
    whole = loaded()
    whole.validate()
    assert len(whole.to_mongo()) == len(RAW)


def construct_and_encode() -> None:
    whole = Whole(
        name="a", price=1.5, tags=["one"], part=Part(n=1 << 40), parts=[Part(n=2 << 40)],
        free={"a": [{"b": Decimal128("2.5")}]}, id=KEY,
    )  # fmt: skip
    if TABLE is None:
        encode(whole.to_mongo())
    else:
        assert TABLE.encode(whole, DEFAULT_CODEC_OPTIONS) is not None
        whole.free = {"a": 1 << 70}
        assert TABLE.encode(whole, DEFAULT_CODEC_OPTIONS) is None


def compare_and_copy() -> None:
    whole = loaded()
    assert whole == copy.copy(whole)
    assert pickle.loads(pickle.dumps(whole)).part == whole.part


def refuse() -> None:
    for given in (UNKNOWN, UNKNOWN_DEEPER, WRONG, WRONG_LATER):
        with suppress(FieldDoesNotExist, InvalidDocumentError):
            whole = loaded(given)
            assert not whole.parts[0].n
            assert not whole.price


# What is done, and which part of the loads it does.
ACTIONS: dict[Callable[[], None], float] = {
    load: 1.0,
    read: 0.02,
    read_and_keep_the_part: 0.02,
    load_out_of_the_ordinary: 0.01,
    change: 0.01,
    validate_and_write: 0.01,
    construct_and_encode: 0.01,
    compare_and_copy: 0.004,
    refuse: 0.004,
}


def things_in_common() -> list[Any]:
    """What each document refers to, or may."""
    found: list[Any] = [type(None), dict, list, weak, Whole, Part, KEY, *ENCODED.values()]
    for model in (Whole, Part):
        found += [*model.__dict__.values(), *model._fields, *model._fields.values()]
    for given in GIVEN:
        found += [given, *given.values(), *RAW["part"].values(), *RAW["parts"], *RAW["tags"]]
    return found


weak = type(loaded()._data)
COMMON = things_in_common()


def kilobytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def repeat(action: Callable[[], None], times: int) -> None:
    for _ in range(times):
        action()


def left_by(action: Callable[[], None], times: int) -> dict[str, Any]:
    gc.collect()
    objects, references = Counter(map(type, gc.get_objects())), sum(map(sys.getrefcount, COMMON))
    memory, blocks = kilobytes(), sys.getallocatedblocks()
    repeat(action, times)
    gc.collect()
    more_blocks, more_memory = sys.getallocatedblocks() - blocks, kilobytes() - memory
    more_references = sum(map(sys.getrefcount, COMMON)) - references
    more = Counter(map(type, gc.get_objects())) - objects
    return {
        "times": times,
        "objects": {
            kind.__qualname__: count for kind, count in more.items() if kind is not Counter
        },
        "references": more_references,
        "blocks": more_blocks,
        "kilobytes": more_memory,
    }


for action, share in ACTIONS.items():
    left_by(action, WARMING)  # what is made once, is made
    print(json.dumps({"action": action.__name__, **left_by(action, int(LOADS * share))}))
