"""A dry run counts what steps would touch, and writes nothing by any way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from making_migrations import Migrate
from mongoengine.fields import IntField

from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument
from datalayer.errors import MigrationError


class CountedMember(BusinessDocument):
    n = IntField()
    meta = {"collection": "members", "auto_create_index": False}


@pytest.fixture
def filled(database: Any) -> Any:
    database.members.insert_many([{"_id": n, "n": n} for n in range(10)])
    database.members.create_index("n", name="by_n")
    return database


def test_steps_tell_how_many_documents_they_would_touch(filled: Any, migrate: Migrate) -> None:
    before = list(filled.members.find())
    with migrate(dry=True) as m:
        m.update("members", {"n": {"$gt": 6}}, {"$inc": {"n": 1}})
        m.each(CountedMember, pytest.fail, {"n": {"$lt": 2}})
        m.rename_field("members", "n", "m")
        m.set_default("members", "n", 1)
        m.convert("members", "n", pytest.fail)
        m.remove_field("members", "n")
        m.build_index("members", "m")
        m.hide_index("members", "by_n")
        m.drop_index("members", "n")
        m.restore_field("members", "n")
        m.transfer(source="default", target="database1", collections=["members"])
    assert [(each.matched, each.changed) for each in m.outcomes] == [
        (3, 0), (2, 0), (10, 0), (0, 0), (10, 0), (10, 0), (10, 0), (0, 0), (0, 0), (0, 0), (10, 0)
    ]  # fmt: skip
    assert m.unknown == []
    assert list(filled.members.find()) == before
    assert filled.list_collection_names() == ["members"]
    assert registry.connection("database1").database.list_collection_names() == []


WRITES: dict[str, Callable[[Any], object]] = {
    "save": lambda m: CountedMember(n=1).save(),
    "objects.update": lambda m: CountedMember.objects.update(n=5),
    "objects.delete": lambda m: CountedMember.objects.delete(),
    "insert_one": lambda m: m.database().members.insert_one({}),
    "database1": lambda m: m.database("database1").members.delete_many({}),
    "$out": lambda m: m.database().members.aggregate([{"$out": "others"}]),
    "create_index": lambda m: m.database().members.create_index("x"),
    "drop": lambda m: m.database().members.drop(),
    "drop_collection": lambda m: m.database().drop_collection("members"),
    "create_collection": lambda m: m.database().create_collection("others"),
    "command": lambda m: m.database().command({"collMod": "members", "validator": {}}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_other_writes_are_refused_and_noted(
    filled: Any, migrate: Migrate, write: Callable[[Any], object]
) -> None:
    before = list(filled.members.find())
    with migrate(dry=True) as m, pytest.raises(MigrationError, match="what this does isn't known"):
        write(m)
    assert len(m.unknown) == 1
    assert list(filled.members.find()) == before
    assert filled.list_collection_names() == ["members"]


def test_reading_goes_on_and_writing_does_afterwards(filled: Any, migrate: Migrate) -> None:
    with migrate(dry=True) as m:
        assert m.database().members.count_documents({}) == 10
        assert CountedMember.objects(n=3).count() == 1
        assert m.database().command("ping")["ok"] == 1
        assert len(list(m.database().members.aggregate([{"$match": {"n": 3}}]))) == 1
    CountedMember(n=11).save()
    assert filled.members.count_documents({}) == 11
