"""Threads that read what waits in a document at the same moment get the same objects, of one that
was loaded from bytes as of one that was made of a dictionary."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import bson
import mongoengine as me
import pytest
from bson import Decimal128, ObjectId
from loading_bytes import from_bytes

from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.engine import core

THREADS, ROUNDS = 8, 150
DEADLINE = 60.0


class Inner(EmbeddedDocument):
    n = me.IntField()
    text = me.StringField()


class Outer(EmbeddedDocument):
    inner = me.EmbeddedDocumentField(Inner)
    inners = me.EmbeddedDocumentListField(Inner)
    due = me.DateTimeField()


class Raced(Document):
    name = me.StringField()
    number = me.IntField()
    rate = me.FloatField()
    due = me.DateTimeField()
    owner = me.ObjectIdField()
    price = me.DecimalField()
    tags = me.ListField(me.StringField())
    free = me.DictField()
    part = me.EmbeddedDocumentField(Outer)
    parts = me.EmbeddedDocumentListField(Inner)
    listed = me.ListField(me.EmbeddedDocumentField(Inner))
    mapped = me.MapField(me.IntField())


INNER = {"n": 1 << 40, "text": "an inner text"}
RAW = {
    "name": "a name",
    "number": 1 << 40,
    "rate": 1.5,
    "due": datetime(2026, 1, 2),
    "owner": ObjectId(),
    "price": Decimal128("1.50"),
    "tags": ["one", "two"],
    "free": {"a": [{"b": 1}]},
    "part": {"inner": INNER, "inners": [INNER, INNER], "due": datetime(2026, 1, 2)},
    "parts": [INNER, INNER],
    "listed": [INNER],
    "mapped": {"a": 1},
}

LOOKS: tuple[Callable[[Any], Any], ...] = (
    *(lambda whole, name=name: getattr(whole, name) for name in RAW),
    lambda whole: whole.part.inner,
    lambda whole: whole.part.inner.text,
    lambda whole: whole.part.inners[1],
    lambda whole: whole.part.due,
    lambda whole: whole.parts[1].n,
    lambda whole: whole.free["a"][0],
)

WAYS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "bytes": lambda model, raw: from_bytes(model, bson.encode(raw)),
    "dictionary": lambda model, raw: model._from_son(bson.decode(bson.encode(raw))),
}


@pytest.fixture(params=list(WAYS))
def loaded(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if request.param == "bytes" and core is None:
        pytest.skip("of the part in C")
    return lambda: WAYS[request.param](Raced, {**RAW, "_id": ObjectId()})


@pytest.fixture(autouse=True)
def threads_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """What each of ``acts`` returns, in a thread each, which begin together."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait(DEADLINE)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts, timeout=DEADLINE))


def test_all_threads_get_the_same_objects(loaded: Callable[[], Any]) -> None:
    for turn in range(ROUNDS):
        whole = loaded()

        def read(first: int, whole: Any = whole) -> list[Any]:
            turned = [*range(first, len(LOOKS)), *range(first)]
            found = {index: LOOKS[index](whole) for index in turned}
            return [found[index] for index in range(len(LOOKS))]

        firsts = [turn % len(LOOKS) if turn % 2 else number for number in range(THREADS)]
        found = at_once([lambda first=first: read(first) for first in firsts])
        for objects in zip(*found, [look(whole) for look in LOOKS], strict=True):
            assert len({id(each) for each in objects}) == 1, objects


def test_what_is_set_while_others_read_first_stays(loaded: Callable[[], Any]) -> None:
    for _ in range(ROUNDS):
        whole = loaded()

        def write(whole: Any = whole) -> None:
            whole.name, whole.number, whole.tags = "another", 2, ["three"]
            whole.part = Outer(due=datetime(2027, 1, 2))

        def read(whole: Any = whole) -> Any:
            return whole.name, whole.number, whole.part, whole.tags

        at_once([write, *[read] * (THREADS - 1)])
        assert (whole.name, whole.number, whole.tags) == ("another", 2, ["three"])
        assert whole.part.due == datetime(2027, 1, 2)
        assert whole.part.inner is None
        assert sorted(whole._get_changed_fields()) == ["name", "number", "part", "tags"]
