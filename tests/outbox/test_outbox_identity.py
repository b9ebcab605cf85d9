"""A delivery is known by its source, its target, its key and its number, and by nothing less."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128, ObjectId, Regex
from deliveries import Box, Note, arrived, inbox, outbox, send, stored_in
from fresh_databases import model_registry
from mongoengine import IntField, StringField
from places import cleared

from datalayer import db
from datalayer.documents import Document
from datalayer.errors import TransactionError
from datalayer.outbox.entries import KEYS
from datalayer.settings import Settings


class StandIn:
    """What calls itself a text and is none, as the lazy objects of frameworks do."""

    __class__ = str  # type: ignore[assignment]


def test_sources_that_use_one_key_take_nothing_from_each_other(databases: Settings) -> None:
    for number in range(3):
        send(number, name="default")
        send(number, name="shop", source="shop")
    for source in ("default", "shop"):
        assert db.outbox.deliver(source).delivered == 3
    assert (arrived("default"), arrived("shop")) == ([0, 1, 2], [0, 1, 2])


def test_one_key_leads_to_several_targets(databases: Settings) -> None:
    for number in range(3):
        send(number)
        db.outbox.add(Box(name="a", number=number), key="a")
    assert db.outbox.deliver().delivered == 6
    assert (arrived(), arrived(model=Box)) == ([0, 1, 2], [0, 1, 2])
    assert db.outbox.waiting().entries == 0


def test_services_that_call_their_databases_alike_take_nothing_from_each_other(
    databases: Settings,
) -> None:
    """Each has a `default` of its own, and both deliver into one `database1`."""
    uris = {alias: settings.uri for alias, settings in databases.items()}
    services = [uris, {**uris, "default": uris["shop"]}]
    for name, own in zip(("one", "other"), services, strict=True):
        db.disconnect_all()
        db.connect_all(Settings(databases=own))
        send(1, 2, name=name)
        assert db.outbox.deliver().delivered == 2
    assert (arrived("one"), arrived("other")) == ([1, 2], [1, 2])
    db.disconnect_all()
    cleared(databases)


def test_a_copy_of_a_source_takes_nothing_from_it(databases: Settings) -> None:
    """Made with all that the outbox has stored there, while something waits."""
    send(1)
    db.outbox.deliver()
    send(2)
    for name in (outbox().name, KEYS):
        found = list(stored_in("default", name).find())
        stored_in("shop", name).insert_many(found)
    send(3, 4)
    send(5, 6, source="shop")
    db.outbox.deliver()
    db.outbox.deliver("shop")
    assert arrived() == [1, 2, 3, 4, 5, 6]
    assert db.outbox.waiting("shop").entries == 0


def test_two_aliases_of_one_database_take_nothing_from_each_other(databases: Settings) -> None:
    class Copy(Document):
        name = StringField()
        number = IntField()
        meta = {"db_alias": "again"}

    uris = {alias: settings.uri for alias, settings in databases.items()}
    db.disconnect_all()
    with (
        model_registry(Copy),
        db.connected(Settings(databases={**uris, "again": uris["database1"]})),
    ):
        for number in range(2):
            send(number)
            db.outbox.add(Copy(name="a", number=number), key="a")
        assert db.outbox.deliver().delivered == 4
        assert (arrived(), arrived(model=Copy)) == ([0, 1], [0, 1])
    cleared(databases)


def test_keys_are_one_where_the_server_takes_them_for_one(databases: Settings) -> None:
    for number, key in enumerate((5, 5.0, Decimal128("5"))):
        send(number, key=key)
    send(9, key="5")
    assert len({entry["_id"]["stream"] for entry in outbox().find()}) == 2
    assert db.outbox.deliver().delivered == 4
    assert [n for n in arrived() if n != 9] == [0, 1, 2]


@pytest.mark.parametrize(
    "key",
    [7, -1.5, ObjectId(), uuid.uuid4(), b"\x00", "", "$gt", datetime(2026, 1, 1, tzinfo=UTC)],
)
def test_a_single_value_is_a_key(databases: Settings, key: Any) -> None:
    send(1, 2, key=key)
    assert db.outbox.deliver().delivered == 2
    assert arrived() == [1, 2]


@pytest.mark.parametrize(
    "key",
    [
        {"customer": 1},
        {"$gt": ""},
        ["a"],
        ("a",),
        {"a"},
        Regex("a"),
        float("nan"),
        float("-inf"),
        Decimal128("NaN"),
        2**63,
        "a" * 1025,
        "\ud800",
        pytest.param(object(), id="object"),
        pytest.param(StandIn(), id="StandIn"),
    ],
    ids=lambda key: f"{type(key).__name__} {ascii(key)[:10]}",
)
def test_what_is_no_single_value_is_refused_before_anything_is_sent(
    databases: Settings, key: Any
) -> None:
    with pytest.raises(TransactionError, match=r"db\.outbox\.add can't use this key"):
        db.outbox.add(Note(number=1), key=key)
    assert outbox().count_documents({}) == stored_in("default", KEYS).count_documents({}) == 0


def test_an_error_about_a_key_does_not_show_it(databases: Settings) -> None:
    with pytest.raises(TransactionError) as caught:
        db.outbox.add(Note(number=1), key=["canary"])
    assert "canary" not in str(caught.value)


def test_what_is_sent_after_the_counters_were_lost_arrives(databases: Settings) -> None:
    send(1, 2, 3)
    db.outbox.deliver()
    stored_in("default", KEYS).delete_many({})
    send(4, 5)
    assert db.outbox.deliver().delivered == 2
    assert arrived() == [1, 2, 3, 4, 5]


def test_a_document_whose_id_is_a_pattern_of_others_replaces_none(databases: Settings) -> None:
    """As somebody else may have written it into the outbox."""
    Note(name="mine", number=1).save()
    send(1)
    outbox().update_one({}, [{"$set": {"document._id": {"$literal": {"$exists": True}}}}])
    assert db.outbox.deliver().failed == 1
    assert arrived("mine") == [1]


def test_the_inbox_knows_nothing_of_keys(databases: Settings) -> None:
    send(1, key="canary@example.org")
    db.outbox.deliver()
    assert "canary" not in str(list(inbox().find()))
