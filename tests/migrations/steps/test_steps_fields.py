"""Fields that are renamed, removed and filled, by batches that change nothing when done again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import MaxKey, MinKey, ObjectId
from making_migrations import Migrate

from datalayer.errors import MigrationError


def stored(collection: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in collection.find().sort("_id", 1)]


def fill(database: Any, count: int = 25, **fields: Any) -> None:
    database.members.insert_many([{"_id": n, "name": f"n{n}", **fields} for n in range(count)])


def test_a_field_is_renamed_in_all_documents_that_have_it(database: Any, migrate: Migrate) -> None:
    fill(database)
    database.members.insert_one({"_id": 99, "other": 1})
    m = migrate(batch=4)
    m.rename_field("members", "name", "title")
    assert stored(database.members)[:2] == [{"_id": 0, "title": "n0"}, {"_id": 1, "title": "n1"}]
    assert database.members.count_documents({"title": {"$exists": True}}) == 25
    assert stored(database.members)[-1] == {"_id": 99, "other": 1}
    (outcome,) = m.outcomes
    assert (outcome.number, outcome.kind, outcome.target) == (1, "rename_field", "default.members")
    assert (outcome.matched, outcome.changed, outcome.resumed) == (25, 25, False)


def test_ids_of_every_type_are_reached(database: Any, migrate: Migrate) -> None:
    ids = [
        MinKey(), None, float("nan"), -1.5, 3, 4, "a", "b", {"a": 1}, b"x", ObjectId(), False,
        True, datetime(2026, 1, 1, tzinfo=UTC), MaxKey(),
    ]  # fmt: skip
    database.members.insert_many([{"_id": each, "old": 1} for each in ids])
    m = migrate(batch=1)
    m.rename_field("members", "old", "new")
    assert database.members.count_documents({"new": 1}) == len(ids)
    assert m.outcomes[0].changed == len(ids)


@pytest.mark.parametrize(
    "options",
    [
        {"clusteredIndex": {"key": {"_id": 1}, "unique": True}},
        {"collation": {"locale": "en", "strength": 1}},
    ],
    ids=["clustered", "collation"],
)
def test_collections_in_an_order_of_their_own_are_gone_through(
    database: Any, migrate: Migrate, options: dict[str, Any]
) -> None:
    database.create_collection("members", **options)
    database.members.create_index("old")
    ids = ["b", "A", "c", "B!", "é", 1, 2, ObjectId()]
    database.members.insert_many([{"_id": each, "old": 1} for each in ids])
    m = migrate(batch=2)
    m.rename_field("members", "old", "new")
    m.update("members", {}, {"$inc": {"new": 1}}, batch=2)
    m.remove_field("members", "new")
    assert [each.changed for each in m.outcomes] == [len(ids)] * 3
    m.restore_field("members", "new")
    assert database.members.count_documents({"new": 2}) == len(ids)


def test_documents_with_both_names_are_refused_before_anything_is_written(
    database: Any, migrate: Migrate
) -> None:
    fill(database)
    database.members.update_many({"_id": {"$gte": 18}}, {"$set": {"title": "x"}})
    before = stored(database.members)
    message = r"7 documents have both \(_id 18, 19, 20, 21, 22\), and one would be lost"
    with pytest.raises(MigrationError, match=message):
        migrate().rename_field("members", "name", "title")
    assert stored(database.members) == before
    with pytest.raises(MigrationError, match=message):
        migrate(dry=True).rename_field("members", "name", "title")


def test_a_dotted_name_is_a_field_of_an_embedded_document(database: Any, migrate: Migrate) -> None:
    fill(database, 2, address={"street": "a", "zip": "1"})
    m = migrate()
    m.rename_field("members", "address.street", "address.line1")
    m.set_default("members", "address.country", "IS")
    m.remove_field("members", "address.zip")
    m.set_default("members", "contact.phone", "none")
    expected = {"line1": "a", "country": "IS"}
    assert [each["address"] for each in stored(database.members)] == [expected, expected]
    assert "contact" not in stored(database.members)[0]


def test_a_path_through_arrays_is_refused(database: Any, migrate: Migrate) -> None:
    fill(database, 3, orders=[{"sum": 1}])
    m = migrate()
    message = r"would lead through arrays in 3 documents \(_id 0, 1, 2\); use m.convert\(\)"
    for step in (
        lambda: m.rename_field("members", "orders.sum", "orders.total"),
        lambda: m.remove_field("members", "orders.sum"),
        lambda: m.set_default("members", "orders.total", 0),
        lambda: m.convert("members", "orders.sum", str),
    ):
        with pytest.raises(MigrationError, match=message):
            step()
    assert stored(database.members)[0]["orders"] == [{"sum": 1}]


def test_a_default_is_set_where_the_field_is_missing(database: Any, migrate: Migrate) -> None:
    fill(database, 10)
    database.members.update_one({"_id": 3}, {"$set": {"active": None}})
    m = migrate()
    m.set_default("members", "active", True)
    assert m.outcomes[0].changed == 9
    assert database.members.find_one({"_id": 3})["active"] is None
    assert database.members.count_documents({"active": True}) == 9


def test_a_removed_field_is_kept_and_put_back(database: Any, migrate: Migrate) -> None:
    fill(database)
    database.members.update_one({"_id": 4}, {"$set": {"name": None}})
    before = stored(database.members)
    m = migrate(batch=10)
    m.remove_field("members", "name")
    assert m.outcomes[0].changed == 25
    assert database.members.count_documents({"name": {"$exists": True}}) == 0
    undo = migrate(direction="undo", batch=10)
    undo.restore_field("members", "name")
    assert (undo.outcomes[0].matched, undo.outcomes[0].changed) == (25, 25)
    assert stored(database.members) == before
    again = migrate(direction="undo")
    again.restore_field("members", "name")
    assert again.outcomes[0].matched == 0


def test_what_was_written_since_stays_when_a_field_is_put_back(
    database: Any, migrate: Migrate
) -> None:
    fill(database, 3)
    migrate().remove_field("members", "name")
    database.members.update_one({"_id": 1}, {"$set": {"name": "new"}})
    database.members.delete_one({"_id": 2})
    undo = migrate(direction="undo")
    undo.restore_field("members", "name")
    assert (undo.outcomes[0].matched, undo.outcomes[0].changed) == (3, 1)
    assert stored(database.members) == [{"_id": 0, "name": "n0"}, {"_id": 1, "name": "new"}]
    kept = "datalayer_migration_kept:0001_change:members:name"
    assert [each["_id"] for each in stored(database[kept])] == [1, 2]
    migrate().drop_kept("members", "name")
    assert kept not in database.list_collection_names()


def test_a_wrong_name_is_refused(database: Any, migrate: Migrate) -> None:
    fill(database, 1)
    m = migrate()
    for name in ("", "a..b", "a.", None, "nul\0"):
        with pytest.raises(MigrationError, match="is no name of a field"):
            m.remove_field("members", name)  # type: ignore[arg-type]
    with pytest.raises(MigrationError, match="_id can't be changed"):
        m.rename_field("members", "name", "_id")
    for name in ("$set", "tags.0", "a.$[].b"):
        with pytest.raises(MigrationError, match="can't be changed by name"):
            m.set_default("members", name, 1)
    with pytest.raises(MigrationError, match="one is in the other"):
        m.rename_field("members", "name", "name.first")
    with pytest.raises(MigrationError, match=r"default for 'x' of .+ is a function"):
        m.set_default("members", "x", list)
    with pytest.raises(MigrationError, match="holds a value that can't be stored"):
        m.set_default("members", "x", object())
    assert m.outcomes == []
    assert stored(database.members) == [{"_id": 0, "name": "n0"}]


def test_a_field_of_which_nothing_was_kept_stays_as_it_is(database: Any, migrate: Migrate) -> None:
    fill(database, 2)
    m = migrate()
    m.restore_field("members", "name")
    assert m.outcomes[0].changed == 0
    assert [each["name"] for each in stored(database.members)] == ["n0", "n1"]
