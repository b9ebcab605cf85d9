"""What can't be migrated is refused with one clear error, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from making_migrations import Migrate
from mongoengine.fields import StringField

from datalayer.documents import BusinessDocument, EmbeddedDocument
from datalayer.errors import MigrationError, NotConnectedError


class Abstract(BusinessDocument):
    meta = {"abstract": True}


class Part(EmbeddedDocument):
    name = StringField()


class Later(BusinessDocument):
    meta = {"collection": "later"}


@pytest.mark.parametrize("target", ["", ("default",), ("default", ""), 5, None, Abstract, Part])
def test_what_is_no_target_is_refused(database: Any, migrate: Migrate, target: Any) -> None:
    with pytest.raises(MigrationError, match=r"a target is a model|has no collection"):
        migrate().remove_field(target, "name")


def test_an_alias_that_is_not_connected_is_refused(database: Any, migrate: Migrate) -> None:
    with pytest.raises(NotConnectedError, match="no database has the alias 'nowhere'"):
        migrate().remove_field(("nowhere", "members"), "name")


def test_a_name_that_is_not_there_is_refused_where_others_are(
    database: Any, migrate: Migrate
) -> None:
    database.create_collection("members")
    m = migrate()
    m.remove_field("usres", "name")  # a new database: nothing is anywhere
    assert m.outcomes[0].matched == 0
    database.members.insert_one({"name": "n"})
    with pytest.raises(MigrationError, match=r"no collection 'usres' on 'default', which has"):
        m.remove_field("usres", "name")
    m.remove_field(Later, "name")
    assert [each.matched for each in m.outcomes] == [0, 0]


def test_views_time_series_and_capped_collections_are_refused(
    database: Any, migrate: Migrate
) -> None:
    database.create_collection("views", viewOn="members", pipeline=[])
    database.create_collection("measures", timeseries={"timeField": "at"})
    database.create_collection("capped", capped=True, size=4096)
    for name, why in (
        ("views", "is a view, which has no documents of its own"),
        ("measures", "is a time-series collection"),
        ("capped", "is capped"),
    ):
        with pytest.raises(MigrationError, match=why):
            migrate().set_default(name, "x", 1)


def test_what_the_server_refuses_is_told_without_what_documents_hold(
    database: Any, migrate: Migrate
) -> None:
    database.members.insert_many([{"name": "secret"} for _ in range(2)])
    database.members.create_index("title", unique=True, sparse=True)
    with pytest.raises(MigrationError, match="same value under a unique index") as raised:
        migrate().rename_field("members", "name", "title")
    assert "secret" not in str(raised.value)
    database.command({"collMod": "members", "validator": {"active": {"$exists": False}}})
    with pytest.raises(MigrationError, match="would not pass the collection's validator"):
        migrate().set_default("members", "active", True)


def test_names_that_are_too_long_to_keep_values_under_are_refused(
    database: Any, migrate: Migrate
) -> None:
    database.members.insert_one({"name": "n"})
    with pytest.raises(MigrationError, match="give the migration a shorter name"):
        migrate(name="0001_" + 200 * "x").remove_field("members", "name")
