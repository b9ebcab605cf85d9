"""The models of these tests, and what is stored of them."""

from __future__ import annotations

from typing import Any

import mongoengine
from mongoengine import IntField, ReferenceField, StringField
from places import up_to_date

from datalayer.documents import Document


class Account(Document):
    name = StringField(unique=True)
    balance = IntField(default=0)
    parent = ReferenceField("self")


class Event(Document):
    number = IntField()
    meta = {"db_alias": "database1", "read_from": "nearest"}


class Plain(mongoengine.Document):
    name = StringField()
    meta = {"auto_create_index": False}


class PlainEvent(mongoengine.Document):
    number = IntField()
    meta = {"db_alias": "database1", "auto_create_index": False}


MODELS = (Account, Event, Plain, PlainEvent)


class Broken(Exception):
    """What the tests break their blocks with."""


def names() -> list[str]:
    with up_to_date():
        return sorted(each.name for each in Account.objects)


def balances() -> dict[str, int]:
    with up_to_date():
        return {each.name: each.balance for each in Account.objects}


def insert_raw(document: dict[str, Any]) -> None:
    Account._get_collection().insert_one(document)
