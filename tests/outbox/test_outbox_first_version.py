"""What the first version left in outboxes and inboxes is carried over: nothing is lost, nothing
arrives twice, and the order of a key is kept."""

from __future__ import annotations

from typing import Any

import pytest
from bson import ObjectId
from deliveries import (
    Box,
    Note,
    arrived,
    deliver_as_first_version,
    inbox,
    outbox,
    send,
    send_as_first_version,
)

from datalayer import db
from datalayer.settings import Settings


def test_what_it_left_is_delivered_in_order(databases: Settings) -> None:
    deliver_as_first_version(send_as_first_version(1))
    for number in (2, 3):
        send_as_first_version(number)
    assert db.outbox.deliver().delivered == 2
    assert arrived() == [1, 2, 3]
    assert db.outbox.waiting().entries == 0


def test_what_it_had_delivered_is_not_written_again(databases: Settings) -> None:
    deliver_as_first_version(send_as_first_version(1), crash=True)
    Note.objects.update(set__number=2)
    assert db.outbox.deliver().delivered == 1
    assert arrived() == [2]
    assert db.outbox.waiting().entries == 0


def test_what_it_would_have_dropped_for_another_source_arrives(databases: Settings) -> None:
    for number in range(3):
        deliver_as_first_version(send_as_first_version(number))
        send_as_first_version(number, name="shop", source="shop")
    assert db.outbox.deliver("shop").delivered == 3
    assert (arrived(), arrived("shop")) == ([0, 1, 2], [0, 1, 2])


def test_what_was_stuck_for_two_targets_arrives(databases: Settings) -> None:
    for number in range(3):
        send_as_first_version(number)
        send_as_first_version(number, alias="archive")
    assert db.outbox.deliver().delivered == 6
    assert (arrived(), arrived(model=Box)) == ([0, 1, 2], [0, 1, 2])


def test_what_comes_after_it_stays_behind_it(databases: Settings) -> None:
    Note(name="b", number=0, code="taken").save()
    stuck = send_as_first_version(1)
    outbox().update_one({"_id": stuck["_id"]}, {"$set": {"document.code": "taken"}})
    send(2, 3)
    send(1, key="b", name="other")
    assert db.outbox.deliver().delivered == 1
    assert (arrived(), arrived("other")) == ([], [1])
    Note.objects.update(unset__code=True)
    assert db.outbox.deliver().delivered == 3
    assert arrived() == [1, 2, 3]


def test_both_versions_deliver_side_by_side(databases: Settings) -> None:
    """The first one's relay takes the first of its entries, and this one's the others."""
    first, second = send_as_first_version(1), send_as_first_version(2)
    deliver_as_first_version(first)
    db.outbox.deliver()
    third = send_as_first_version(3)
    assert inbox().find_one({"_id": "a"})["number"] == 2
    deliver_as_first_version(third)
    outbox().insert_one(second)  # it had read it before, and finds that it was delivered
    assert db.outbox.deliver().delivered == 1
    assert arrived() == [1, 2, 3]


def test_without_a_key_it_arrives_once(databases: Settings) -> None:
    document = {"_id": ObjectId(), "name": "a", "number": 1}
    entry = {
        "_id": {"key": f"once:{ObjectId()}", "number": 1},
        "alias": "database1",
        "collection": "note",
        "document": document,
        "ordered": False,
    }
    for _ in range(2):
        outbox().insert_one(entry)
        assert db.outbox.deliver().delivered == 1
        Note.objects.delete()
    assert arrived() == []
    assert inbox().find_one({"_id": entry["_id"]["key"]})["delivered_at"]


@pytest.mark.parametrize("key", [{"customer": 1}, 5, float("nan"), True, b"\x00"])
def test_whatever_key_it_took_arrives(databases: Settings, key: Any) -> None:
    for number in (1, 2):
        outbox().insert_one(
            {
                "_id": {"key": key, "number": number},
                "alias": "database1",
                "collection": "note",
                "document": {"_id": ObjectId(), "name": "a", "number": number},
                "ordered": True,
            }
        )
    send(1, name="other")
    assert db.outbox.deliver().delivered == 3
    assert (arrived(), arrived("other")) == ([1, 2], [1])


def test_numbers_that_the_server_takes_for_one_key_keep_their_order(databases: Settings) -> None:
    for number, key in ((1, 5), (2, 5.0), (3, 5)):
        outbox().insert_one(
            {
                "_id": {"key": key, "number": number},
                "alias": "database1",
                "collection": "note",
                "document": {"_id": ObjectId(), "name": "a", "number": number},
                "ordered": True,
            }
        )
    assert db.outbox.deliver().delivered == 3
    assert arrived() == [1, 2, 3]
