"""Does what the engine does with documents while everything that it looks into changes: at each
collection of garbage, at comparisons of keys, and when values go.

Prints a line for each action that the process has survived. Arguments: how often, and a seed. An
error is an answer, but not ``SystemError``, which a part in C gives that lost track.
"""

from __future__ import annotations

import faulthandler
import gc
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bson import CodecOptions, Decimal128, ObjectId, decode, encode
from mongoengine import (
    DecimalField,
    DictField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    StringField,
)

from datalayer.documents import Document, EmbeddedDocument
from datalayer.documents.engine import encoded, mark_saved
from datalayer.documents.engine.compile.c_core import is_compiled, list_copy, plain_copy
from datalayer.documents.fields.bson_limits import check_document

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from loading_bytes import from_bytes

ROUNDS, SEED = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(SEED)
targets: list[Any] = []  # what changes now
kept: list[Any] = []


class Part(EmbeddedDocument):
    n = IntField()
    text = StringField()
    inner = ListField(IntField())


class Whole(Document):
    name = StringField(required=True)
    number = IntField()
    price = DecimalField()
    tags = ListField(StringField())
    part = EmbeddedDocumentField(Part)
    parts = EmbeddedDocumentListField(Part)
    listed = ListField(EmbeddedDocumentField(Part))
    free = DictField()
    items = ListField()


class Key(str):
    """A key that lets everything change when it is compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        change()
        return str.__eq__(self, other)

    __hash__ = str.__hash__


class Going:
    """A value that lets everything change when it goes."""

    def __del__(self) -> None:
        change()


def number() -> int:
    return chance.randrange(10**6, 10**9)


def text() -> str:
    return f"text {number()}"


def change(phase: str = "start", _: object = None) -> None:
    """What collections of garbage call, and much else."""
    if phase == "start":
        for target in targets:
            change_one(target)


def change_one(target: Any) -> None:
    how = chance.randrange(6)
    if isinstance(target, list):
        change_list(target, how)
    elif isinstance(target, dict):
        change_dict(target, how)
    elif how == 0:
        target._data = {"name": text()}
    elif how == 1:
        target._changed_fields = [text()]
    elif how == 2 and hasattr(target._data, "pending"):
        target._data.pending = {"part": {"n": number()}, "parts": [{"n": number()}]}


def change_list(target: list[Any], how: int) -> None:
    if how == 0:
        list.clear(target)
    elif how == 1:
        list.__delitem__(target, slice(None, None, 2))
    elif how == 2:
        list.__setitem__(target, slice(None), [number() for _ in range(len(target))])
    elif how == 3:
        list.append(target, [number()])
    elif how == 4 and target:
        list.__setitem__(target, 0, text())


def change_dict(target: dict[Any, Any], how: int) -> None:
    if how == 0:
        dict.clear(target)
    elif how == 1:
        dict.__setitem__(target, text(), [number()])
    elif how == 2:
        for key in list(dict.keys(target)):
            dict.__setitem__(target, key, [text()])
    elif how == 3 and target:
        dict.popitem(target)


def tree() -> dict[str, Any]:
    return {
        "numbers": [[number(), text()] for _ in range(12)],
        "texts": {text(): [text()] for _ in range(12)},
        "deep": [[[{"a": [number()]}]]],
        "single": Decimal128("1.5"),
    }


def raw_part() -> dict[str, Any]:
    return {"n": number(), "text": text(), "inner": [number(), number()]}


def raw() -> dict[str, Any]:
    return {
        "_id": ObjectId(),
        "name": text(),
        "number": number(),
        "price": 1.5,
        "tags": [text() for _ in range(8)],
        "part": raw_part(),
        "parts": [raw_part() for _ in range(8)],
        "listed": [raw_part() for _ in range(8)],
        "free": tree(),
        "items": [number(), [text()], {"a": text()}],
    }


def parts() -> list[Part]:
    return [Part(n=number(), text=text(), inner=[number()]) for _ in range(8)]


def loaded() -> Any:
    if is_compiled() and chance.random() < 0.5:
        return from_bytes(Whole, encode(raw()))
    return Whole._from_son(raw())


def document() -> Any:
    if chance.random() < 0.5:
        return loaded()
    return Whole(
        name=text(), number=number(), price="1.5", tags=[text()], part=parts()[0], parts=parts(),
        listed=parts(), free=tree(), items=[text()],
    )  # fmt: skip


def within(value: Any) -> list[Any]:
    """All lists and mappings in ``value``, and itself."""
    if not isinstance(value, (list, dict)):
        return []
    values = dict.values(value) if isinstance(value, dict) else list.__iter__(value)
    return [value, *(each for item in values for each in within(item))]


def hold(*found: Any) -> None:
    """Let these change from now on."""
    targets[:] = found


def everything_of(made: Any) -> list[Any]:
    """A document and what can change in it."""
    pending = getattr(made._data, "pending", {})
    return [made, *within(dict(dict.items(made._data)))[1:], *within(pending)]


def copy_plainly() -> None:
    given = tree()
    given[Key("numbers") if chance.random() < 0.1 else "more"] = [Going()]
    hold(*within(given))
    plain_copy(given)


def copy_a_list() -> None:
    given = [text() for _ in range(60)]
    hold(*within(given))
    kept.append([list_copy(given) for _ in range(20)])


def load() -> None:
    given = raw()
    if chance.random() < 0.3:
        given = {Key(key): value for key, value in given.items()}
    if chance.random() < 0.3:
        given["part"] = {Key(key): value for key, value in raw_part().items()}
    hold(*within(given))
    made = Whole._from_son(given)
    for name in Whole._fields:
        getattr(made, name, None)


def load_bytes() -> None:
    given = encode(raw())
    made = from_bytes(Whole, given) if is_compiled() else Whole._from_son(decode(given))
    hold(*everything_of(made))
    for name in Whole._fields:
        getattr(made, name, None)


def read() -> None:
    made = loaded()
    hold(*everything_of(made))
    for name in chance.sample(sorted(Whole._fields), 6):
        getattr(made, name)


def assign() -> None:
    made = document()
    given = raw()
    hold(*everything_of(made), *within(given))
    made.free = given["free"]
    made.tags = given["tags"]
    made.number = number()
    made.parts = parts()


def construct() -> None:
    given = {"parts": parts(), "listed": parts(), "tags": [text() for _ in range(8)]}
    hold(*within(given)[1:])
    Whole(name=text(), free=tree(), items=[Going()], **given)


def write() -> None:
    made = document()
    hold(*everything_of(made))
    encode(made.to_mongo())


def encode_natively() -> None:
    made = document()
    made._data["id"] = ObjectId()
    hold(*everything_of(made))
    kept[:] = [encoded(made, CodecOptions())]


def construct_and_mark() -> None:
    made = Whole(name=text(), part=parts()[0], free=tree())
    hold(*everything_of(made))
    mark_saved(made, ObjectId())


def validate() -> None:
    made = document()
    hold(*everything_of(made))
    made.validate()


def look_for_changes() -> None:
    made = document()
    if chance.random() < 0.5:
        made._data = {Key(key): value for key, value in made._data.items()}
    hold(*everything_of(made))
    made._get_changed_fields()


def compare() -> None:
    one, other = document(), document()
    hold(*everything_of(one), other)
    assert one == one
    assert one != other


def check() -> None:
    given = document().to_mongo().to_dict()
    hold(*within(given))
    check_document(given, "here")


ACTIONS: tuple[Callable[[], None], ...] = (
    copy_plainly, copy_a_list, load, load_bytes, read, assign, construct, construct_and_mark,
    write, encode_natively, validate, look_for_changes, compare, check,
)  # fmt: skip


def take_all_free_ones() -> None:
    """The interpreter keeps lists and dictionaries to use them again: where it has none left,
    making one runs the collector."""
    kept.append([([], {}) for _ in range(100)])


def survive(action: Callable[[], None]) -> None:
    for _ in range(ROUNDS):
        take_all_free_ones()
        try:
            action()
        except SystemError:
            raise
        except Exception:
            del targets[:]
            continue
        del targets[:]
    print(action.__name__, flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    Whole._from_son(raw()).validate()  # compiles the classes
    document().to_mongo()
    gc.callbacks.append(change)
    gc.set_threshold(1)
    for each in ACTIONS:
        survive(each)
