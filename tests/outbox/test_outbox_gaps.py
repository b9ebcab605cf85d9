"""Where the target no longer knows what came before, delivery goes on with what the source has,
says so, and neither loses nor repeats anything."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from bson import Int64
from deliveries import arrived, inbox, outbox, send, stored_in

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.outbox import delivery
from datalayer.outbox.entries import ASIDE, collection, raw, read
from datalayer.settings import Settings


def gaps_told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.levelname for r in caplog.records if getattr(r, "event", "") == "outbox_gap"]


def test_known_keys_go_on_after_the_inbox_was_lost(
    databases: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    send(1, 2)
    send(1, 2, key="b", name="b")
    db.outbox.deliver()
    inbox().drop()
    send(3, 4)
    send(3, key="b", name="b")
    with caplog.at_level(logging.WARNING, "datalayer.outbox"):
        assert db.outbox.deliver().delivered == 3
    assert (arrived(), arrived("b")) == ([1, 2, 3, 4], [1, 2, 3])
    assert gaps_told(caplog) == ["WARNING"]
    send(5)
    db.outbox.deliver()
    assert arrived() == [1, 2, 3, 4, 5]
    assert gaps_told(caplog) == ["WARNING"]


def test_they_go_on_after_entries_were_removed(databases: Settings) -> None:
    send(1, 2, 3, 4, 5)
    outbox().delete_many({"document.number": {"$in": [2, 4]}})
    assert db.outbox.deliver().delivered == 3
    assert arrived() == [1, 3, 5]


def test_nobody_goes_ahead_of_an_entry_that_is_there(
    databases: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was committed while the outbox was read, and is found when one looks again."""
    send(1, 2)
    hidden = outbox().find_one_and_delete({"document.number": 1})

    def appears(*_: Any) -> None:
        outbox().insert_one(hidden)

    look_again = delivery.are_first_in_stream
    monkeypatch.setattr(
        delivery, "are_first_in_stream", lambda *args: (appears(), look_again(*args))[1]
    )
    assert (db.outbox.deliver().delivered, arrived()) == (0, [])
    monkeypatch.undo()
    assert gaps_told(caplog) == []
    assert db.outbox.deliver().delivered == 2
    assert arrived() == [1, 2]


def test_what_others_deliver_meanwhile_is_not_repeated(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look into the outbox and the one into the inbox."""
    send(1, 2)
    db.outbox.deliver()
    inbox().delete_many({})
    send(3)
    look_again = delivery.are_first_in_stream

    def while_another_delivers(*args: Any) -> bool:
        found = look_again(*args)
        monkeypatch.undo()
        assert db.outbox.deliver().delivered == 1
        registry.connection("database1").database.note.update_one(
            {"number": 3}, {"$set": {"number": 33}}
        )
        return found

    monkeypatch.setattr(delivery, "are_first_in_stream", while_another_delivers)
    db.outbox.deliver()
    assert arrived() == [1, 2, 33]
    assert db.outbox.waiting().entries == 0


def test_what_is_set_aside_while_it_is_delivered_does_not_come_again(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(1)
    take_in = delivery.take_in

    def while_somebody_sets_it_aside(*args: Any) -> Any:
        taken = take_in(*args)
        stored_in("default", ASIDE).insert_one(outbox().find_one_and_delete({}))
        return taken

    monkeypatch.setattr(delivery, "take_in", while_somebody_sets_it_aside)
    assert db.outbox.deliver().delivered == 1
    assert arrived() == [1]
    assert stored_in("default", ASIDE).count_documents({}) == 0


def test_what_was_set_aside_outlives_those_who_know_what_came_after_it(
    databases: Settings,
) -> None:
    """A relay that had read it before finds a later number in the inbox."""
    send(1, 2)
    first = outbox().find_one_and_delete({"document.number": 1})
    stored_in("default", ASIDE).insert_one(first)
    db.outbox.deliver()
    connection = registry.connection()
    entry = read(raw(collection(connection, ASIDE)).find_one())
    delivery.DeliveryPass("default")._deliver([entry])
    assert stored_in("default", ASIDE).count_documents({}) == 1


@pytest.mark.parametrize("number", [2.0, Int64(2)])
def test_a_number_is_read_in_whichever_type_it_was_stored(
    databases: Settings, number: Any
) -> None:
    send(1, 2)
    entries = list(outbox().find())
    db.outbox.deliver()
    inbox().update_one({}, {"$set": {"number": number}})
    registry.connection("database1").database.note.delete_many({})
    outbox().insert_many(entries)
    assert db.outbox.deliver().delivered == 2
    assert arrived() == []


def test_a_target_that_was_replaced_gets_what_comes_next(databases: Settings) -> None:
    send(1)
    db.outbox.deliver()
    for name in ("note", inbox().name):
        registry.connection("database1").database[name].delete_many({})
    send(2)
    db.outbox.deliver()
    assert arrived() == [2]
