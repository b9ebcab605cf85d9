"""The documents of the benchmark: MongoDB's where they are at hand, or generated ones of the same
shape (their licence forbids shipping them)."""

from __future__ import annotations

import os
import random
import string
from functools import cache
from pathlib import Path
from typing import Any

from bson import ObjectId, json_util

from benchmarks.odm.tasks import Kind

__all__ = ["DATA_VARIABLE", "document", "fresh", "source", "string_parts"]

DATA_VARIABLE = "DATALAYER_TEST_DATA"
_FILES = {
    "small": "flat-models/small_doc.json",
    "large": "flat-models/large_doc.json",
    "nested": "nested-models/large_doc_nested.json",
}
_IMAGE_BYTES = 2_412_000  # as BSON: 3.2 MB are its length in base64


def source() -> str:
    """Which documents are used: ``"mongodb"`` or ``"generated"``."""
    return "mongodb" if _directory() else "generated"


@cache
def document(kind: Kind) -> dict[str, Any]:
    """The document of the benchmark, of which all of its kind are copies."""
    name = "small" if kind == "small_fk" else kind
    directory = _directory()
    if directory is None:
        return _generated(name)
    text = (directory / _FILES[name]).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json_util.loads(text)
    return loaded


def fresh(kind: Kind) -> dict[str, Any]:
    """A copy with what makes it one of its kind: a foreign key, or the embedded unique ids."""
    copy = dict(document(kind))
    if kind == "small_fk":
        copy["field_fk"] = ObjectId()
    for name in string_parts(copy):
        part = copy[name]
        if isinstance(part, list):
            copy[name] = [{"unique_id": str(ObjectId()), **each} for each in part]
        else:
            copy[name] = {"unique_id": str(ObjectId()), **part}
    return copy


def string_parts(nested: dict[str, Any]) -> list[str]:
    """The names of the embedded documents, and lists of them, that hold text."""
    return [name for name in nested if name.startswith("embedded_str")]


def _directory() -> Path | None:
    """Where MongoDB's documents are, if all of them are there."""
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        return None
    directory = Path(named) / "odm-benchmark"
    there = all((directory / name).is_file() for name in _FILES.values())
    return directory if there else None


def _generated(name: str) -> dict[str, Any]:
    chance = random.Random(name)

    def text(length: int) -> str:
        return "".join(chance.choices(string.ascii_lowercase + string.digits, k=length))

    def flat(texts: int, numbers: int, length: int, greatest: int) -> dict[str, Any]:
        values = [text(length) for _ in range(texts)]
        values += [chance.randrange(100, greatest) for _ in range(numbers)]
        return {f"field{number}": value for number, value in enumerate(values, 1)}

    if name == "small":
        return flat(7, 6, 8, 10**8)
    if name == "large":
        return {**flat(125, 125, 31, 1000), "image_field": chance.randbytes(_IMAGE_BYTES)}
    return {
        **{f"embedded_str_doc_{n}": flat(15, 0, 31, 1000) for n in range(1, 6)},
        "embedded_str_doc_array": [flat(15, 0, 31, 1000) for _ in range(2)],
        **{f"embedded_int_doc_{n}": flat(0, 15, 0, 1000) for n in range(8, 15)},
    }
