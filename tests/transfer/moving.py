"""What the tests of transfers put into databases, and read out of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bson import CodecOptions, Decimal128, Int64, ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.settings import Settings
from datalayer.transfer import Plan, Report

DAY = datetime(2025, 3, 4, 5, 6, 7, 891000, tzinfo=UTC)
OURS = "datalayer_transfer"
RESHAPING = {"fields", "constants", "transform"}


class Databases:
    """The databases of a test, by alias."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __getitem__(self, alias: str) -> Database[Any]:
        return registry.connection(alias).database

    def empty(self) -> None:
        for alias in self.settings:
            for name in self[alias].list_collection_names():
                if not name.startswith("system."):
                    self[alias].command("drop", name, writeConcern={"w": 1})

    def fill(self, count: int = 100, name: str = "messages", alias: str = "default") -> None:
        self[alias][name].insert_many(messages(count))

    def state(self) -> dict[str, dict[str, Any]]:
        """All that is there but the journal of transfers: contents, options and indexes."""
        return {
            alias: {
                name: state_of(self[alias][name])
                for name in sorted(self[alias].list_collection_names())
                if not name.startswith((OURS, "system."))
            }
            for alias in self.settings
        }

    def journaled(self) -> list[str]:
        """The names of all transfers."""
        return [
            each["_id"]
            for alias in self.settings
            for each in self[alias].datalayer_transfers.find()
        ]

    def left_beside(self) -> list[str]:
        """The collections that transfers have for themselves, but the journal."""
        return sorted(
            name
            for alias in self.settings
            for name in self[alias].list_collection_names()
            if name.startswith(OURS) and name not in (f"{OURS}s", f"{OURS}_ranges")
        )


def messages(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "_id": ObjectId(f"{number:024x}"),
            "number": number,
            "text": f"message {number}",
            "big": Int64(number),
            "price": Decimal128("1.10"),
            "at": DAY,
            "parts": [{"z": 1, "a": [None, 2.5]}],
        }
        for number in range(start, start + count)
    ]


ODD_IDS: list[Any] = [
    None, True, -1, 2.5, Int64(2**40), "", "text", b"bytes", DAY, Decimal128("7.5"),
    ObjectId("5" * 24), {"b": 1, "a": {"c": [1]}},
]  # fmt: skip


def raw(collection: Collection[Any], query: Mapping[str, Any] | None = None) -> list[bytes]:
    """The documents as bytes, in the order of ``_id``."""
    as_bytes = collection.with_options(codec_options=CodecOptions(RawBSONDocument))
    return [bytes(each.raw) for each in as_bytes.find(query or {}).sort("_id", 1)]


def digest(collection: Collection[Any]) -> str:
    return hashlib.sha256(b"".join(raw(collection))).hexdigest()


def state_of(collection: Collection[Any]) -> tuple[int, str, Any, Any]:
    indexes = collection.index_information()
    for index in indexes.values():
        index.pop("v", None)
    return collection.count_documents({}), digest(collection), collection.options(), indexes


def plan(name: str = "t", **options: Any) -> Plan:
    options = {
        "source": "default",
        "target": "archive",
        "collections": ["messages"],
        "batch_size": 20,
        **options,
    }
    if options["target"] == "database1" and not RESHAPING & set(options):
        options.setdefault("method", "merge")  # the documents here are small: it would be copy
    return transfer.plan(name, **options)


def counts(report: Report, *names: str) -> dict[str, int]:
    return {name: getattr(report, name) for name in names}


def nonzero(
    report: Report, names: Iterable[str] = ("missing", "differing", "gone", "new", "left")
) -> dict[str, int]:
    """What is not the same on both sides."""
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def change(collection: Collection[Any]) -> None:
    """Change, delete and add some of 60 messages; doing it again changes nothing more."""
    collection.update_many({"number": {"$lt": 10}}, {"$set": {"text": "later"}})
    collection.delete_many({"number": {"$gte": 50, "$lt": 60}})
    for each in messages(5, 100):
        collection.replace_one({"_id": each["_id"]}, each, upsert=True)


def when(
    phase: str, act: Callable[[], object], done_before: int = 0
) -> Callable[[transfer.Progress], None]:
    """Call ``act`` once, at the first news of ``phase`` with so many documents done."""
    done: list[str] = []

    def tell(progress: transfer.Progress) -> None:
        if progress.phase == phase and progress.done >= done_before and not done:
            done.append(phase)
            act()

    return tell


def shouted(document: dict[str, Any]) -> dict[str, Any]:
    """A transform for tests."""
    return {**document, "text": document["text"].upper()}


def whispered(document: dict[str, Any]) -> dict[str, Any]:
    """Its way back."""
    return {**document, "text": document["text"].lower()}


def renumbered(document: dict[str, Any]) -> dict[str, Any]:
    """A transform that is not allowed."""
    return {**document, "_id": document["number"]}


def silent(document: dict[str, Any]) -> None:
    """A transform that forgets to return."""


def exclaimed(document: dict[str, Any]) -> dict[str, Any]:
    """A transform for documents of any kind."""
    return {**document, "exclaimed": True}
