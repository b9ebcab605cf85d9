"""Indexes and transfers as steps."""

from __future__ import annotations

from typing import Any

import pytest
from fresh_databases import model_registry
from making_migrations import Migrate
from mongoengine.fields import IntField

from datalayer import transfer
from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument
from datalayer.errors import MigrationError


@pytest.fixture
def filled(database: Any) -> Any:
    database.members.insert_many([{"_id": n, "n": n} for n in range(10)])
    return database


def test_an_index_is_built_hidden_shown_and_dropped(filled: Any, migrate: Migrate) -> None:
    m = migrate()
    m.build_index("members", [("n", -1)], name="by_n", unique=True)
    m.hide_index("members", [("n", -1)])
    assert filled.members.index_information()["by_n"]["hidden"] is True
    m.unhide_index("members", "by_n")
    assert "hidden" not in filled.members.index_information()["by_n"]
    m.drop_index("members", "by_n")
    assert list(filled.members.index_information()) == ["_id_"]
    kinds = ["build_index", "hide_index", "unhide_index", "drop_index"]
    assert [each.kind for each in m.outcomes] == kinds


def test_steps_of_indexes_are_resumed(filled: Any, migrate: Migrate) -> None:
    filled.members.create_index("n", name="by_n")
    for _ in range(2):
        m = migrate(run="a")
        m.drop_index("members", "by_n")
        m.build_index("members", "m")
    assert [each.resumed for each in m.outcomes] == [True, True]
    assert sorted(filled.members.index_information()) == ["_id_", "m_1"]


def test_what_is_wrong_with_an_index_is_told(filled: Any, migrate: Migrate) -> None:
    m = migrate()
    with pytest.raises(MigrationError, match=r"has no index 'x'; there are _id_"):
        m.drop_index("members", "x")
    with pytest.raises(MigrationError, match="can be neither hidden nor dropped"):
        m.hide_index("members", "_id")
    with pytest.raises(MigrationError, match="declares no index"):
        m.build_index("members", [])
    filled.members.update_many({}, {"$set": {"n": 1}})
    with pytest.raises(MigrationError, match="documents have the same value"):
        m.build_index("members", "n", unique=True)
    m.build_index("members", "n", name="one")
    with pytest.raises(MigrationError, match="stands with other options or names"):
        m.build_index("members", "n", name="two")


def test_documents_are_transferred_and_taken_back(filled: Any, migrate: Migrate) -> None:
    there = registry.connection("database1").database
    m = migrate(run="a")
    m.transfer(source="default", target="database1", collections=["members"], move=True)
    assert (m.outcomes[0].matched, m.outcomes[0].changed) == (10, 10)
    assert (filled.members.count_documents({}), there.members.count_documents({})) == (0, 10)
    m = migrate(run="a")
    m.transfer(source="default", target="database1", collections=["members"], move=True)
    assert (m.outcomes[0].resumed, len(transfer.transfers())) == (True, 1)
    undo = migrate(direction="undo")
    undo.undo_transfers("database1")
    assert filled.members.count_documents({}) == 10
    assert undo.outcomes[0].matched == 10


class LimitedMember(BusinessDocument):
    n = IntField(max_value=5)
    meta = {
        "collection": "members",
        "validator": {"n": {"$lte": 5}},
        "auto_create_index": False,
        "allow_inheritance": False,
    }


class UnlimitedMember(BusinessDocument):
    meta = {"collection": "members"}


def test_a_validator_is_set_once_the_documents_pass_it(filled: Any, migrate: Migrate) -> None:
    m = migrate()
    with model_registry(LimitedMember):
        with pytest.raises(MigrationError, match=r"would refuse documents that are in default"):
            m.validator(LimitedMember)
        assert "validator" not in filled.members.options()
        m.update("members", {"n": {"$gt": 5}}, {"$set": {"n": 5}})
        m.validator(LimitedMember)
    assert filled.members.options()["validator"] == {"n": {"$lte": 5}}
    with pytest.raises(MigrationError, match="refused by the server: a document would not pass"):
        m.update("members", {"n": 5}, {"$inc": {"n": 1}})
    m.remove_validator("members")
    m.update("members", {"n": 5}, {"$inc": {"n": 1}})


def test_a_validator_that_is_not_declared_is_refused(filled: Any, migrate: Migrate) -> None:
    with pytest.raises(MigrationError, match="UnlimitedMember declares no validator"):
        migrate().validator(UnlimitedMember)
    with pytest.raises(MigrationError, match=r"m.validator\(\) takes a model"):
        migrate().validator("members")  # type: ignore[arg-type]
