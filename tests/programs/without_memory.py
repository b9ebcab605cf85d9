"""Does what the part in C does while one piece of memory after the other can't be had.

Prints a line for each action that the process has survived, whose error was ``MemoryError`` or
that of who failed to get a lock.
"""

from __future__ import annotations

import _testcapi
import faulthandler
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bson
from bson import SON, CodecOptions, Decimal128, ObjectId
from mongoengine import DictField, EmbeddedDocumentField, EmbeddedDocumentListField, StringField

from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.engine import core

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from loading_bytes import loader

MOST = 400  # pieces that an action may ask for


class Part(EmbeddedDocument):
    text = StringField()


class Whole(Document):
    name = StringField(required=True)
    part = EmbeddedDocumentField(Part)
    parts = EmbeddedDocumentListField(Part)
    free = DictField()


TREE: dict[str, Any] = {"a": [{"b": [f"text {n}"]} for n in range(8)]}
RAW: dict[str, Any] = {
    "name": "a",
    "part": {"text": "b"},
    "parts": [{"text": "c"} for _ in range(8)],
    "free": TREE,
}


def values() -> dict[str, Any]:
    return {"name": "a", "part": Part(text="b"), "parts": [Part(text="c")] * 8, "free": TREE}


MADE, GIVEN = Whole(id=ObjectId(), **values()), values()
RARE = Whole(id=ObjectId(), free={"é": [Decimal128("1"), "ä", SON(a=1)]})
OPTIONS: CodecOptions[Any] = CodecOptions()
BYTES, LOAD = bson.encode(RAW), loader(Whole)
REPLY = bson.encode({"cursor": {"firstBatch": [RAW] * 8, "id": 0, "ns": "a.b"}, "ok": 1.0})
TABLE: Any = Whole.__dict__["_engine_table"]


def copy() -> None:
    core.plain_copy(TREE)


def copy_a_list() -> None:
    core.list_copy(RAW["parts"])


def read() -> None:
    TABLE.read(RAW)


def read_a_part() -> None:
    assert Whole._from_son(RAW).part.text == "b"


def load_bytes() -> None:
    LOAD(BYTES)


def read_bytes() -> None:
    # Nothing that Python converts: on 3.12, its own code doesn't survive this.
    made = LOAD(BYTES)
    assert (made.name, made.part.text) == ("a", "b")


def split() -> None:
    assert len(core.split_reply(REPLY)[1]) == 8


def construct() -> None:
    TABLE.construct(object.__new__(Whole), GIVEN)


def write() -> None:
    TABLE.write(MADE, None)


def encode() -> None:
    TABLE.encode(MADE, OPTIONS)


def encode_what_the_driver_knows() -> None:
    TABLE.encode(RARE, OPTIONS)


def take_keywords() -> None:
    Whole(**GIVEN)
    Part(text="a")


def draw_ids() -> None:
    core.object_ids(b"123456789", 1, 20)


def mark_saved() -> None:
    TABLE.mark_saved(MADE)


def validate() -> None:
    TABLE.errors_of(MADE, True, True)


def look_for_changes() -> None:
    TABLE.is_clean(MADE)


def make_a_table() -> None:
    core.Table(
        fields=(), model=Whole, class_name="Whole", converters={}, finish=None, missing=None,
        allowed=frozenset(), read_otherwise=None, construct_otherwise=None, receivers=(),
        prefix=None, keys=None, is_embedded=False, id_first=False,
    )  # fmt: skip


ACTIONS: tuple[Callable[[], None], ...] = (
    copy, copy_a_list, read, read_a_part, load_bytes, read_bytes, split, construct, take_keywords,
    write, encode, encode_what_the_driver_knows, draw_ids, mark_saved, validate, look_for_changes,
    make_a_table,
)  # fmt: skip


def fail_at(action: Callable[[], None], piece: int) -> None:
    try:
        _testcapi.set_nomemory(piece, piece + 1)
        action()
    except MemoryError:
        pass
    except RuntimeError as exc:
        _testcapi.remove_mem_hooks()
        if "lock" not in str(exc):
            raise
    finally:
        _testcapi.remove_mem_hooks()


if __name__ == "__main__":
    faulthandler.enable()
    for each in ACTIONS:
        each()
        for number in range(1, MOST):
            fail_at(each, number)
        print(each.__name__, flush=True)
