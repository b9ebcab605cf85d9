"""Updates, conversions and functions of documents: a batch and the note of it are one
transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bson import Decimal128, Int64
from making_migrations import Migrate
from mongoengine.fields import IntField, StringField

from datalayer import db
from datalayer.documents import BusinessDocument
from datalayer.errors import DeadlineExceededError, MigrationError
from datalayer.migrations.steps import Migration


def stored(collection: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in collection.find().sort("_id", 1)]


def fill(database: Any, count: int = 25) -> None:
    database.members.insert_many(
        [{"_id": n, "n": Int64(n), "name": f"n{n}"} for n in range(count)]
    )


class Interrupt(BaseException):
    """As a kill, between two batches."""


def interrupted(m: Migration, after: int, step: Callable[[], None]) -> None:
    """Do ``step`` until so many documents were gone through."""

    def tell(progress: Any) -> None:
        if progress.done >= after:
            raise Interrupt

    m._steps.on_progress = tell
    with pytest.raises(Interrupt):
        step()


def test_an_update_happens_once_to_each_document(database: Any, migrate: Migrate) -> None:
    fill(database)
    m = migrate(run="a")
    interrupted(m, 10, lambda: m.update("members", {}, {"$inc": {"n": 100}}, batch=5))
    assert database.members.count_documents({"n": {"$gte": 100}}) == 10
    m = migrate(run="a")
    m.update("members", {}, {"$inc": {"n": 100}}, batch=5)
    assert [each["n"] for each in stored(database.members)] == [n + 100 for n in range(25)]
    (outcome,) = m.outcomes
    assert (outcome.matched, outcome.changed, outcome.resumed) == (25, 25, True)
    m = migrate(run="a")
    m.update("members", {}, {"$inc": {"n": 100}}, batch=5)
    assert [each["n"] for each in stored(database.members)] == [n + 100 for n in range(25)]
    assert (m.outcomes[0].changed, m.outcomes[0].resumed) == (25, True)


def test_a_resumed_run_that_does_something_else_is_refused(
    database: Any, migrate: Migrate
) -> None:
    fill(database)
    m = migrate(run="a")
    interrupted(m, 5, lambda: m.update("members", {}, {"$inc": {"n": 100}}, batch=5))
    message = "an earlier run has begun m.update.. of default.members as this step"
    with pytest.raises(MigrationError, match=message):
        migrate(run="a").update("members", {}, {"$inc": {"n": 200}})
    with pytest.raises(MigrationError, match=message):
        migrate(run="a").remove_field("members", "n")


def test_an_update_that_is_none_is_refused(database: Any, migrate: Migrate) -> None:
    fill(database, 1)
    m = migrate()
    for update in ({}, [], {"name": "x"}, "x", None):
        with pytest.raises(MigrationError, match="takes update operators"):
            m.update("members", {}, update)  # type: ignore[arg-type]
    with pytest.raises(MigrationError, match="takes a filter of MongoDB's"):
        m.update("members", None, {"$set": {"x": 1}})  # type: ignore[arg-type]
    with pytest.raises(MigrationError, match="refused by the server: error 9"):
        m.update("members", {}, {"$nonsense": {"x": 1}})


def test_values_are_converted_and_put_back_as_they_were(database: Any, migrate: Migrate) -> None:
    fill(database)
    before = list(database.members.find_raw_batches(sort=[("_id", 1)]))
    m = migrate(batch=4)
    m.convert("members", "n", lambda value: str(value) if value else value)
    assert (m.outcomes[0].matched, m.outcomes[0].changed) == (25, 24)
    assert [each["n"] for each in stored(database.members)][:3] == [0, "1", "2"]
    undo = migrate(direction="undo")
    undo.restore_field("members", "n")
    assert undo.outcomes[0].changed == 24
    assert list(database.members.find_raw_batches(sort=[("_id", 1)])) == before


def test_a_conversion_is_resumed_without_converting_twice(database: Any, migrate: Migrate) -> None:
    fill(database)
    m = migrate(run="a", batch=5)
    interrupted(m, 10, lambda: m.convert("members", "n", lambda value: value + 1))
    migrate(run="a", batch=5).convert("members", "n", lambda value: value + 1)
    assert [each["n"] for each in stored(database.members)] == list(range(1, 26))


def test_a_function_that_fails_stops_at_its_document(database: Any, migrate: Migrate) -> None:
    fill(database)
    database.members.update_one({"_id": 7}, {"$set": {"n": "secret"}})
    m = migrate(batch=5)
    with pytest.raises(
        MigrationError, match=r"stopped at _id 7: ValueError in the func"
    ) as raised:
        m.convert("members", "n", lambda value: Decimal128(str(int(value))))
    assert "secret" not in str(raised.value)
    assert [type(each["n"]) for each in stored(database.members)][3:6] == [
        Decimal128,
        Decimal128,
        Int64,
    ]


class Member(BusinessDocument):
    name = StringField()
    n = IntField()
    meta = {"collection": "members", "auto_create_index": False}


def test_a_function_is_called_with_each_document(database: Any, migrate: Migrate) -> None:
    Member.objects.insert([Member(name=f"n{n}", n=n) for n in range(7)])

    def change(user: Member) -> None:
        if user.n % 2:
            user.name = user.name.upper()

    m = migrate(batch=3)
    m.each(Member, change, {"n": {"$gt": 0}})
    assert [user.name for user in Member.objects.order_by("n")] == [
        "n0", "N1", "n2", "N3", "n4", "N5", "n6"
    ]  # fmt: skip
    assert (m.outcomes[0].matched, m.outcomes[0].changed) == (6, 3)


def test_what_a_function_writes_elsewhere_in_the_database_is_in_the_transaction(
    database: Any, migrate: Migrate
) -> None:
    Member.objects.insert([Member(name=f"n{n}", n=n) for n in range(4)])

    def change(user: Member) -> None:
        database_in = m.database()
        database_in.names.insert_one({"name": user.name})
        if user.n == 3:
            raise RuntimeError("a bug")

    m = migrate(batch=2)
    with pytest.raises(MigrationError, match="RuntimeError in the function"):
        m.each(Member, change)
    assert database.names.count_documents({}) == 2


def test_a_batch_that_takes_too_long_is_done_in_smaller_ones(
    database: Any, migrate: Migrate
) -> None:
    Member.objects.insert([Member(name="n", n=n) for n in range(30)])
    calls: list[int] = []

    def change(user: Member) -> None:
        calls.append(user.n)
        if len(calls) == 20:
            raise DeadlineExceededError("it takes too long")
        user.name += "x"

    m = migrate()
    m.each(Member, change)
    assert len(calls) == 20 + 30
    assert Member.objects(name="nx").count() == m.outcomes[0].changed == 30


def test_a_step_that_takes_longer_than_the_transaction_around_it_says_so(
    database: Any, migrate: Migrate
) -> None:
    Member(name="n", n=1).save()

    def change(user: Member) -> None:
        raise DeadlineExceededError("it takes too long")

    def all_of_it() -> None:
        with db.transaction():
            migrate().each(Member, change)

    with pytest.raises(MigrationError, match="Leave its `transaction` out, and each batch is one"):
        all_of_it()


class Fruit(BusinessDocument):
    meta = {"collection": "fruits", "allow_inheritance": True}


class Apple(Fruit):
    pass


def test_of_a_model_that_shares_a_collection_only_its_own_are_changed(
    database: Any, migrate: Migrate
) -> None:
    Fruit().save()
    Apple().save()
    m = migrate()
    m.set_default(Apple, "sweet", True)
    m.set_default(Fruit, "pips", 4)
    assert database.fruits.count_documents({"sweet": True, "_cls": "Fruit.Apple"}) == 1
    assert database.fruits.count_documents({"sweet": True}) == 1
    assert database.fruits.count_documents({"pips": 4}) == 2


def test_steps_inside_a_transaction_are_a_part_of_it(database: Any, migrate: Migrate) -> None:
    fill(database)
    before = stored(database.members)
    m = migrate(batch=5)

    def all_of_it() -> None:
        m.rename_field("members", "name", "title")
        m.set_default("members", "active", True)
        m.update("members", {}, {"$inc": {"n": 1}})
        m.convert("members", "n", str)
        m.remove_field("members", "title")
        with pytest.raises(MigrationError, match=r"of default\.members can't be a part"):
            m.build_index("members", "n")
        with pytest.raises(MigrationError, match=r"would change database1\.logs outside of it"):
            m.remove_field(("database1", "logs"), "x")

    def fail() -> None:
        with db.transaction():
            all_of_it()
            raise RuntimeError("roll back")

    with pytest.raises(RuntimeError):
        fail()
    assert stored(database.members) == before
    m = migrate(batch=5)
    with db.transaction():
        all_of_it()
    assert stored(database.members)[1] == {"_id": 1, "n": "2", "active": True}
    assert [each.changed for each in m.outcomes] == [25] * 5
    migrate().restore_field("members", "title")
    assert stored(database.members)[1]["title"] == "n1"
