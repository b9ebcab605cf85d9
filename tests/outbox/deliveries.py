"""The documents that these tests have delivered, and what is stored of them."""

from __future__ import annotations

from typing import Any

from bson import ObjectId
from mongoengine import IntField, StringField
from pymongo import ReturnDocument

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.outbox.entries import INBOX, KEYS, OUTBOX


class Note(Document):
    """Goes to the one target."""

    name = StringField()
    number = IntField()
    code = StringField(unique=True, sparse=True)
    meta = {"db_alias": "database1"}


class Box(Document):
    """Goes to the other one."""

    name = StringField()
    number = IntField()
    meta = {"db_alias": "archive"}


def stored_in(alias: str, name: str) -> Any:
    """A collection as it is, without datalayer."""
    return registry.connection(alias).database[name]


def outbox(source: str = "default") -> Any:
    return stored_in(source, OUTBOX)


def inbox(target: str = "database1") -> Any:
    return stored_in(target, INBOX)


def send(*numbers: int, key: Any = "a", name: str = "a", source: str = "default") -> None:
    for number in numbers:
        db.outbox.add(Note(name=name, number=number), key=key, source=source)


def arrived(name: str = "a", model: Any = Note) -> list[int]:
    """The numbers of the documents that are called so, in the order of their arrival."""
    found = model._get_collection().find({"name": name}).sort("$natural", 1)
    return [each["number"] for each in found]


def send_as_first_version(
    number: int, *, key: Any = "a", name: str = "a", source: str = "default", alias: str = ""
) -> dict[str, Any]:
    """What the first version wrote for a document with a key."""
    counter = stored_in(source, KEYS).find_one_and_update(
        {"_id": key},
        {"$inc": {"number": 1}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    entry = {
        "_id": {"key": key, "number": counter["number"]},
        "alias": alias or "database1",
        "collection": "box" if alias == "archive" else "note",
        "document": {"_id": ObjectId(), "name": name, "number": number},
        "ordered": True,
    }
    outbox(source).insert_one(entry)
    return entry


def deliver_as_first_version(entry: dict[str, Any], *, crash: bool = False) -> None:
    """What the first version's relay did, up to a crash before the entry was taken out."""
    stored_in(entry["alias"], entry["collection"]).insert_one(dict(entry["document"]))
    inbox(entry["alias"]).update_one(
        {"_id": entry["_id"]["key"]},
        {"$max": {"number": entry["_id"]["number"]}},
        upsert=True,
    )
    if not crash:
        outbox().delete_one({"_id": entry["_id"]})
