"""Updates, conversions and functions of documents: a batch and the note of it are one
transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bson import Decimal128, Int64
from conftest import Migrate
from mongoengine.fields import IntField, StringField

from datalayer import db
from datalayer.documents import BusinessDocument
from datalayer.errors import DeadlineExceededError, MigrationError
from datalayer.migrations.steps import Migration


def stored(collection: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in collection.find().sort("_id", 1)]


def fill(database: Any, count: int = 25) -> None:
    database.users.insert_many([{"_id": n, "n": Int64(n), "name": f"n{n}"} for n in range(count)])


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
    interrupted(m, 10, lambda: m.update("users", {}, {"$inc": {"n": 100}}, batch=5))
    assert database.users.count_documents({"n": {"$gte": 100}}) == 10
    m = migrate(run="a")
    m.update("users", {}, {"$inc": {"n": 100}}, batch=5)
    assert [each["n"] for each in stored(database.users)] == [n + 100 for n in range(25)]
    (outcome,) = m.outcomes
    assert (outcome.matched, outcome.changed, outcome.resumed) == (25, 25, True)
    m = migrate(run="a")
    m.update("users", {}, {"$inc": {"n": 100}}, batch=5)
    assert [each["n"] for each in stored(database.users)] == [n + 100 for n in range(25)]
    assert (m.outcomes[0].changed, m.outcomes[0].resumed) == (25, True)


def test_a_resumed_run_that_does_something_else_is_refused(
    database: Any, migrate: Migrate
) -> None:
    fill(database)
    m = migrate(run="a")
    interrupted(m, 5, lambda: m.update("users", {}, {"$inc": {"n": 100}}, batch=5))
    message = "an earlier run has begun m.update.. of default.users as this step"
    with pytest.raises(MigrationError, match=message):
        migrate(run="a").update("users", {}, {"$inc": {"n": 200}})
    with pytest.raises(MigrationError, match=message):
        migrate(run="a").remove_field("users", "n")


def test_an_update_that_is_none_is_refused(database: Any, migrate: Migrate) -> None:
    fill(database, 1)
    m = migrate()
    for update in ({}, [], {"name": "x"}, "x", None):
        with pytest.raises(MigrationError, match="takes update operators"):
            m.update("users", {}, update)  # type: ignore[arg-type]
    with pytest.raises(MigrationError, match="takes a filter of MongoDB's"):
        m.update("users", None, {"$set": {"x": 1}})  # type: ignore[arg-type]
    with pytest.raises(MigrationError, match="refused by the server: error 9"):
        m.update("users", {}, {"$nonsense": {"x": 1}})


def test_values_are_converted_and_put_back_as_they_were(database: Any, migrate: Migrate) -> None:
    fill(database)
    before = list(database.users.find_raw_batches(sort=[("_id", 1)]))
    m = migrate(batch=4)
    m.convert("users", "n", lambda value: str(value) if value else value)
    assert (m.outcomes[0].matched, m.outcomes[0].changed) == (25, 24)
    assert [each["n"] for each in stored(database.users)][:3] == [0, "1", "2"]
    undo = migrate(direction="undo")
    undo.restore_field("users", "n")
    assert undo.outcomes[0].changed == 24
    assert list(database.users.find_raw_batches(sort=[("_id", 1)])) == before


def test_a_conversion_is_resumed_without_converting_twice(database: Any, migrate: Migrate) -> None:
    fill(database)
    m = migrate(run="a", batch=5)
    interrupted(m, 10, lambda: m.convert("users", "n", lambda value: value + 1))
    migrate(run="a", batch=5).convert("users", "n", lambda value: value + 1)
    assert [each["n"] for each in stored(database.users)] == list(range(1, 26))


def test_a_function_that_fails_stops_at_its_document(database: Any, migrate: Migrate) -> None:
    fill(database)
    database.users.update_one({"_id": 7}, {"$set": {"n": "secret"}})
    m = migrate(batch=5)
    with pytest.raises(
        MigrationError, match=r"stopped at _id 7: ValueError in the func"
    ) as raised:
        m.convert("users", "n", lambda value: Decimal128(str(int(value))))
    assert "secret" not in str(raised.value)
    assert [type(each["n"]) for each in stored(database.users)][3:6] == [
        Decimal128,
        Decimal128,
        Int64,
    ]


class User(BusinessDocument):
    name = StringField()
    n = IntField()
    meta = {"collection": "users", "auto_create_index": False}


def test_a_function_is_called_with_each_document(database: Any, migrate: Migrate) -> None:
    User.objects.insert([User(name=f"n{n}", n=n) for n in range(7)])

    def change(user: User) -> None:
        if user.n % 2:
            user.name = user.name.upper()

    m = migrate(batch=3)
    m.each(User, change, {"n": {"$gt": 0}})
    assert [user.name for user in User.objects.order_by("n")] == [
        "n0", "N1", "n2", "N3", "n4", "N5", "n6"
    ]  # fmt: skip
    assert (m.outcomes[0].matched, m.outcomes[0].changed) == (6, 3)


def test_what_a_function_writes_elsewhere_in_the_database_is_in_the_transaction(
    database: Any, migrate: Migrate
) -> None:
    User.objects.insert([User(name=f"n{n}", n=n) for n in range(4)])

    def change(user: User) -> None:
        database_in = m.database()
        database_in.names.insert_one({"name": user.name})
        if user.n == 3:
            raise RuntimeError("a bug")

    m = migrate(batch=2)
    with pytest.raises(MigrationError, match="RuntimeError in the function"):
        m.each(User, change)
    assert database.names.count_documents({}) == 2


def test_a_batch_that_takes_too_long_is_done_in_smaller_ones(
    database: Any, migrate: Migrate
) -> None:
    User.objects.insert([User(name="n", n=n) for n in range(30)])
    calls: list[int] = []

    def change(user: User) -> None:
        calls.append(user.n)
        if len(calls) == 20:
            raise DeadlineExceededError("it takes too long")
        user.name += "x"

    m = migrate()
    m.each(User, change)
    assert len(calls) == 20 + 30
    assert User.objects(name="nx").count() == m.outcomes[0].changed == 30


def test_a_step_that_takes_longer_than_the_transaction_around_it_says_so(
    database: Any, migrate: Migrate
) -> None:
    User(name="n", n=1).save()

    def change(user: User) -> None:
        raise DeadlineExceededError("it takes too long")

    def all_of_it() -> None:
        with db.transaction():
            migrate().each(User, change)

    with pytest.raises(MigrationError, match="Leave its `transaction` out, and each batch is one"):
        all_of_it()


class Animal(BusinessDocument):
    meta = {"collection": "animals", "allow_inheritance": True}


class Dog(Animal):
    pass


def test_of_a_model_that_shares_a_collection_only_its_own_are_changed(
    database: Any, migrate: Migrate
) -> None:
    Animal().save()
    Dog().save()
    m = migrate()
    m.set_default(Dog, "barks", True)
    m.set_default(Animal, "legs", 4)
    assert database.animals.count_documents({"barks": True, "_cls": "Animal.Dog"}) == 1
    assert database.animals.count_documents({"barks": True}) == 1
    assert database.animals.count_documents({"legs": 4}) == 2


def test_steps_inside_a_transaction_are_a_part_of_it(database: Any, migrate: Migrate) -> None:
    fill(database)
    before = stored(database.users)
    m = migrate(batch=5)

    def all_of_it() -> None:
        m.rename_field("users", "name", "title")
        m.set_default("users", "active", True)
        m.update("users", {}, {"$inc": {"n": 1}})
        m.convert("users", "n", str)
        m.remove_field("users", "title")
        with pytest.raises(MigrationError, match=r"build_index\(\) of default.users can't be a p"):
            m.build_index("users", "n")
        with pytest.raises(MigrationError, match=r"would change database1\.logs outside of it"):
            m.remove_field(("database1", "logs"), "x")

    def fail() -> None:
        with db.transaction():
            all_of_it()
            raise RuntimeError("roll back")

    with pytest.raises(RuntimeError):
        fail()
    assert stored(database.users) == before
    m = migrate(batch=5)
    with db.transaction():
        all_of_it()
    assert stored(database.users)[1] == {"_id": 1, "n": "2", "active": True}
    assert [each.changed for each in m.outcomes] == [25] * 5
    migrate().restore_field("users", "title")
    assert stored(database.users)[1]["title"] == "n1"
