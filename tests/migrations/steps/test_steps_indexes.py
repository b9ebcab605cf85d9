"""Indexes and transfers as steps."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Migrate
from fresh_databases import model_registry
from mongoengine.fields import IntField

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument
from datalayer.errors import MigrationError


@pytest.fixture
def filled(database: Any) -> Any:
    database.users.insert_many([{"_id": n, "n": n} for n in range(10)])
    return database


def test_an_index_is_built_hidden_shown_and_dropped(filled: Any, migrate: Migrate) -> None:
    m = migrate()
    m.build_index("users", [("n", -1)], name="by_n", unique=True)
    m.hide_index("users", [("n", -1)])
    assert filled.users.index_information()["by_n"]["hidden"] is True
    m.unhide_index("users", "by_n")
    assert "hidden" not in filled.users.index_information()["by_n"]
    m.drop_index("users", "by_n")
    assert list(filled.users.index_information()) == ["_id_"]
    kinds = ["build_index", "hide_index", "unhide_index", "drop_index"]
    assert [each.kind for each in m.outcomes] == kinds


def test_steps_of_indexes_are_resumed(filled: Any, migrate: Migrate) -> None:
    filled.users.create_index("n", name="by_n")
    for _ in range(2):
        m = migrate(run="a")
        m.drop_index("users", "by_n")
        m.build_index("users", "m")
    assert [each.resumed for each in m.outcomes] == [True, True]
    assert sorted(filled.users.index_information()) == ["_id_", "m_1"]


def test_what_is_wrong_with_an_index_is_told(filled: Any, migrate: Migrate) -> None:
    m = migrate()
    with pytest.raises(MigrationError, match=r"has no index 'x'; there are _id_"):
        m.drop_index("users", "x")
    with pytest.raises(MigrationError, match="can be neither hidden nor dropped"):
        m.hide_index("users", "_id")
    with pytest.raises(MigrationError, match="declares no index"):
        m.build_index("users", [])
    filled.users.update_many({}, {"$set": {"n": 1}})
    with pytest.raises(MigrationError, match="documents have the same value"):
        m.build_index("users", "n", unique=True)
    m.build_index("users", "n", name="one")
    with pytest.raises(MigrationError, match="stands with other options or names"):
        m.build_index("users", "n", name="two")


def test_documents_are_transferred_and_taken_back(filled: Any, migrate: Migrate) -> None:
    there = registry.connection("database1").database
    m = migrate(run="a")
    m.transfer(source="default", target="database1", collections=["users"], move=True)
    assert (m.outcomes[0].matched, m.outcomes[0].changed) == (10, 10)
    assert (filled.users.count_documents({}), there.users.count_documents({})) == (0, 10)
    m = migrate(run="a")
    m.transfer(source="default", target="database1", collections=["users"], move=True)
    assert (m.outcomes[0].resumed, len(transfer.transfers())) == (True, 1)
    undo = migrate(direction="undo")
    undo.undo_transfers("database1")
    assert filled.users.count_documents({}) == 10
    assert undo.outcomes[0].matched == 10


class User(BusinessDocument):
    n = IntField(max_value=5)
    meta = {
        "collection": "users",
        "validator": {"n": {"$lte": 5}},
        "auto_create_index": False,
        "allow_inheritance": False,
    }


class Plain(BusinessDocument):
    meta = {"collection": "users"}


def test_a_validator_is_set_once_the_documents_pass_it(filled: Any, migrate: Migrate) -> None:
    m = migrate()
    with model_registry(User):
        with pytest.raises(MigrationError, match=r"would refuse documents that are in default"):
            m.validator(User)
        assert "validator" not in filled.users.options()
        m.update("users", {"n": {"$gt": 5}}, {"$set": {"n": 5}})
        m.validator(User)
    assert filled.users.options()["validator"] == {"n": {"$lte": 5}}
    with pytest.raises(MigrationError, match="refused by the server: a document would not pass"):
        m.update("users", {"n": 5}, {"$inc": {"n": 1}})
    m.remove_validator("users")
    m.update("users", {"n": 5}, {"$inc": {"n": 1}})


def test_a_validator_that_is_not_declared_is_refused(filled: Any, migrate: Migrate) -> None:
    with pytest.raises(MigrationError, match="Plain declares no validator"):
        migrate().validator(Plain)
    with pytest.raises(MigrationError, match=r"m.validator\(\) takes a model"):
        migrate().validator("users")  # type: ignore[arg-type]
