"""A dry run counts what steps would touch, and writes nothing by any way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Migrate
from mongoengine.fields import IntField

from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument
from datalayer.errors import MigrationError


class User(BusinessDocument):
    n = IntField()
    meta = {"collection": "users", "auto_create_index": False}


@pytest.fixture
def filled(database: Any) -> Any:
    database.users.insert_many([{"_id": n, "n": n} for n in range(10)])
    database.users.create_index("n", name="by_n")
    return database


def test_steps_tell_how_many_documents_they_would_touch(filled: Any, migrate: Migrate) -> None:
    before = list(filled.users.find())
    with migrate(dry=True) as m:
        m.update("users", {"n": {"$gt": 6}}, {"$inc": {"n": 1}})
        m.each(User, pytest.fail, {"n": {"$lt": 2}})
        m.rename_field("users", "n", "m")
        m.set_default("users", "n", 1)
        m.convert("users", "n", pytest.fail)
        m.remove_field("users", "n")
        m.build_index("users", "m")
        m.hide_index("users", "by_n")
        m.drop_index("users", "n")
        m.restore_field("users", "n")
        m.transfer(source="default", target="database1", collections=["users"])
    assert [(each.matched, each.changed) for each in m.outcomes] == [
        (3, 0), (2, 0), (10, 0), (0, 0), (10, 0), (10, 0), (10, 0), (0, 0), (0, 0), (0, 0), (10, 0)
    ]  # fmt: skip
    assert m.unknown == []
    assert list(filled.users.find()) == before
    assert filled.list_collection_names() == ["users"]
    assert registry.connection("database1").database.list_collection_names() == []


WRITES: dict[str, Callable[[Any], object]] = {
    "save": lambda m: User(n=1).save(),
    "objects.update": lambda m: User.objects.update(n=5),
    "objects.delete": lambda m: User.objects.delete(),
    "insert_one": lambda m: m.database().users.insert_one({}),
    "database1": lambda m: m.database("database1").users.delete_many({}),
    "$out": lambda m: m.database().users.aggregate([{"$out": "others"}]),
    "create_index": lambda m: m.database().users.create_index("x"),
    "drop": lambda m: m.database().users.drop(),
    "drop_collection": lambda m: m.database().drop_collection("users"),
    "create_collection": lambda m: m.database().create_collection("others"),
    "command": lambda m: m.database().command({"collMod": "users", "validator": {}}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_other_writes_are_refused_and_noted(
    filled: Any, migrate: Migrate, write: Callable[[Any], object]
) -> None:
    before = list(filled.users.find())
    with migrate(dry=True) as m, pytest.raises(MigrationError, match="what this does isn't known"):
        write(m)
    assert len(m.unknown) == 1
    assert list(filled.users.find()) == before
    assert filled.list_collection_names() == ["users"]


def test_reading_goes_on_and_writing_does_afterwards(filled: Any, migrate: Migrate) -> None:
    with migrate(dry=True) as m:
        assert m.database().users.count_documents({}) == 10
        assert User.objects(n=3).count() == 1
        assert m.database().command("ping")["ok"] == 1
        assert len(list(m.database().users.aggregate([{"$match": {"n": 3}}]))) == 1
    User(n=11).save()
    assert filled.users.count_documents({}) == 11
