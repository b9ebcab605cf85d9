"""One entry that can't be delivered concerns those behind it alone, is told once and then rarely,
and nothing that the outbox holds ends the relay."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from canaries import found_in, text_of
from deliveries import Box, Note, arrived, inbox, outbox, send, stored_in
from pymongo import MongoClient, _csot
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import UnavailableError
from datalayer.outbox import backoff
from datalayer.outbox.delivery import DeliveryPass
from datalayer.settings import Settings

TAKEN = "canary-code"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """The events that the outbox's log has told so far; and nothing in it is a document's."""

    def records() -> list[Any]:
        return [record for record in caplog.records if record.name == "datalayer.outbox"]

    with caplog.at_level(logging.WARNING, "datalayer.outbox"):
        yield lambda: [record.event for record in records()]
    assert [found_in(text_of(record)) for record in records()] == [None] * len(records())


@pytest.fixture(autouse=True)
def nothing_failed_before() -> None:
    """The tests share a connection, and with it what the process remembers of it."""
    backoff._BACKOFFS.clear()


@pytest.fixture
def relay(databases: Settings) -> Iterator[None]:
    db.outbox.start(interval_seconds=0.01)
    yield
    db.outbox.stop()


def send_refused(key: str = "bad") -> None:
    """One whose code is taken in the target already."""
    db.outbox.add(Note(name=key, number=0, code=TAKEN), key=key)


@pytest.fixture
def taken(databases: Settings) -> None:
    Note(name="taken", number=0, code=TAKEN).save()


def insert(**entry: Any) -> None:
    outbox().insert_one(entry)


def for_unknown(alias: str = "elsewhere") -> dict[str, Any]:
    identity = {"stream": ObjectId(), "number": 1}
    document = {"_id": ObjectId(), "name": "canary"}
    return {"_id": identity, "alias": alias, "collection": "note", "document": document}


BROKEN: dict[str, dict[str, Any]] = {
    "no stream": {"_id": {"number": 1}},
    "no number": {"_id": {"stream": ObjectId()}},
    "a number that is text": {"_id": {"stream": ObjectId(), "number": "canary"}},
    "an endless number": {"_id": {"stream": ObjectId(), "number": float("inf")}},
    "no document": {"document": None},
    "a document without an id": {"document": {"name": "canary"}},
    "no alias": {"alias": None},
    "an alias that is a list": {"alias": ["canary"]},
    "no collection": {"collection": ""},
    "a number for a collection": {"collection": 5},
}
REFUSED: dict[str, dict[str, Any]] = {
    "a collection of the server's": {"collection": "system.views"},
    "a name that can't be one": {"collection": "$cmd"},
    "an id that is a list": {"document": {"_id": [1]}},
    "an id that is an operator": {"document": {"_id": {"$gt": 1}}},
    "a document that is an update": {"document": {"$set": {"name": "canary"}, "_id": 1}},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_what_is_no_entry_is_told_and_keeps_nothing(
    databases: Settings, told: Any, change: dict[str, Any]
) -> None:
    insert(**{**for_unknown("database1"), **change})
    send(1)
    for _ in range(3):
        assert db.outbox.deliver().failed == 1
    assert arrived() == [1]
    assert told() == ["outbox_unreadable"]
    assert db.outbox.waiting().entries == 1


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_no_target_takes_is_told_and_keeps_nothing(
    databases: Settings, told: Any, change: dict[str, Any]
) -> None:
    insert(**{**for_unknown("database1"), **change})
    send(1)
    for _ in range(3):
        assert db.outbox.deliver().failed == 1
    assert arrived() == [1]
    assert told() == ["outbox_refused"]


def test_what_is_not_even_an_id_is_left_alone(databases: Settings) -> None:
    outbox().insert_many([{"_id": 5}, {"_id": ObjectId()}, {"_id": "canary"}])
    send(1)
    assert db.outbox.deliver().delivered == 1


@pytest.mark.usefixtures("taken")
def test_a_refused_document_is_told_once(told: Any) -> None:
    send_refused()
    send(1, key="bad")
    send(1)
    for _ in range(20):
        db.outbox.deliver()
    assert (arrived(), arrived("bad")) == ([1], [])
    assert told() == ["outbox_refused"]


@pytest.mark.usefixtures("taken")
def test_it_is_told_again_after_pauses_that_grow(told: Any) -> None:
    send_refused()
    db.outbox.deliver()

    def told_after(minutes: int) -> int:
        """As if that much time had gone by since the first attempt and since it was told."""
        moved = {"$dateSubtract": {"startDate": "$$NOW", "unit": "minute", "amount": minutes}}
        before = len(told())
        outbox().update_one({}, [{"$set": {"failure.told_at": moved}}])
        db.outbox.deliver()
        return len(told()) - before

    assert [told_after(0), told_after(2), told_after(0)] == [0, 1, 0]
    week = {"$dateSubtract": {"startDate": "$$NOW", "unit": "week", "amount": 1}}
    outbox().update_one({}, [{"$set": {"failure.since": week}}])
    assert [told_after(60), told_after(60 * 23), told_after(60 * 25)] == [0, 0, 1]


@pytest.mark.usefixtures("taken")
def test_attempts_are_counted_and_end_with_the_trouble(told: Any) -> None:
    send_refused()
    for _ in range(3):
        db.outbox.deliver()
    failure = outbox().find_one()["failure"]
    assert (failure["attempts"], failure["reason"]) == (3, "DuplicateKey (error 11000)")
    assert db.outbox.waiting().failing == 1
    Note.objects(code=TAKEN).delete()
    assert db.outbox.deliver().delivered == 1
    assert db.outbox.waiting().failing == 0


@pytest.mark.usefixtures("taken")
def test_many_refused_ones_keep_no_other(told: Any) -> None:
    for number in range(10):
        send_refused(f"bad {number}")
        send(number)
    done = db.outbox.deliver()
    assert (done.delivered, done.failed) == (10, 10)
    assert arrived() == list(range(10))


@pytest.mark.usefixtures("taken")
def test_very_many_refused_ones_are_told_in_few_lines(told: Any) -> None:
    for number in range(25):
        send_refused(f"bad {number}")
    for _ in range(2):
        db.outbox.deliver()
    assert told() == ["outbox_refused"] * 20 + ["outbox_further"]


@pytest.mark.usefixtures("taken")
def test_a_patient_pass_leaves_alone_what_failed_lately(
    told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(backoff, "monotonic", lambda: now)
    send_refused()

    def attempts_after(seconds: float) -> int:
        nonlocal now
        now += seconds
        assert DeliveryPass("default", patient=True).run().failed == 1
        return int(outbox().find_one()["failure"]["attempts"])

    assert [attempts_after(s) for s in (0, 0.4, 0.2, 0.9, 0.2, 1.9, 0.2)] == [1, 1, 2, 2, 3, 3, 4]
    assert [attempts_after(s) for s in (3600, 300.1, 300.1)] == [5, 6, 7]
    assert told() == ["outbox_refused"]


def test_an_unknown_alias_keeps_nothing_and_is_told_once(databases: Settings, told: Any) -> None:
    insert(**for_unknown())
    send(1)
    for _ in range(3):
        done = db.outbox.deliver()
    assert done.failed == 1
    assert arrived() == [1]
    assert told() == ["outbox_unknown_alias"]


@pytest.mark.usefixtures("relay")
def test_the_relay_goes_on_whatever_it_reads(told: Any) -> None:
    for change in (*BROKEN.values(), *REFUSED.values()):
        insert(**{**for_unknown("database1"), **change})
    insert(**for_unknown())
    wait_until(lambda: len(told()) == len(BROKEN) + len(REFUSED) + 1)
    send(1)
    wait_until(lambda: arrived() == [1])
    assert db.outbox.running()
    assert len(told()) == len(BROKEN) + len(REFUSED) + 1


@pytest.mark.usefixtures("relay")
def test_the_relay_outlives_an_error_of_its_own(
    told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("datalayer.outbox.delivery.DeliveryPass.run", lambda self: 1 / 0)
        wait_until(lambda: "outbox" in told())
    send(1)
    wait_until(lambda: arrived() == [1])


def test_what_a_collection_refuses_leaves_no_other_of_the_target(
    databases: Settings, told: Any
) -> None:
    """Where the target has a view under the collection's name, which takes no documents."""
    database = registry.connection("database1").database
    database.drop_collection("box")
    database.command("create", "box", viewOn="note", pipeline=[])
    insert(**{**for_unknown("database1"), "collection": "box"})
    send(1)
    try:
        assert db.outbox.deliver().delivered == 1
    finally:
        database.drop_collection("box")
    assert told() == ["outbox_refused"]


def test_a_key_that_another_transaction_holds_keeps_no_other(
    databases: Settings, told: Any
) -> None:
    """As that of a relay that was killed, until the server drops it."""
    send(1)
    db.outbox.deliver()
    send(2)
    for number in range(4):
        send(number, key=str(number), name="b")
    client = MongoClient[dict[str, Any]](databases["database1"].uri)
    with client, client.start_session() as session, session.start_transaction():
        held = client.get_default_database()[inbox().name]
        held.update_one({}, {"$set": {"number": 7}}, session=session)
        assert db.outbox.deliver().delivered == 4
        assert (arrived(), len(arrived("b"))) == ([1], 4)
        session.abort_transaction()
    assert db.outbox.deliver().delivered == 1
    assert told() == []


def test_a_target_that_is_away_keeps_nothing_from_the_others(
    mongod: EmbeddedMongo, databases: Settings, told: Any
) -> None:
    """The one that is away comes first, by its name."""
    uris = {alias: settings.uri for alias, settings in databases.items()}
    send(1)
    db.outbox.add(Box(name="a", number=1), key="a")
    db.disconnect_all()
    away = "mongodb://127.0.0.1:1/away?serverSelectionTimeoutMS=100"
    with db.connected(Settings(databases={**uris, "archive": away})):
        with pytest.raises(UnavailableError):
            db.outbox.deliver()
        assert arrived() == [1]
        DeliveryPass("default", patient=True).run()
        assert db.outbox.waiting().entries == 1
    db.connect_all(databases)
    assert db.outbox.deliver().delivered == 1
    assert arrived(model=Box) == [1]


def test_a_target_that_was_away_is_given_little_time_to_prove_itself(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hang, and the others wait meanwhile."""
    monkeypatch.setattr(backoff, "_FIRST_PAUSE_SECONDS", 0.0)
    given: list[float | None] = []

    def hangs(_: object) -> None:
        given.append(_csot.get_timeout())
        raise UnavailableError("it hangs")

    send(1)
    with monkeypatch.context() as away:
        away.setattr("datalayer.outbox.delivery.prepare", hangs)
        for _ in range(3):
            DeliveryPass("default", patient=True).run()
    assert given == [None, 2.0, 2.0]
    assert DeliveryPass("default", patient=True).run().delivered == 1


def test_a_failure_that_finds_no_room_is_told_all_the_same(
    databases: Settings, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an entry that is as large as documents get."""
    Note(name="taken", number=0, code=TAKEN).save()
    send_refused()
    stored_in("default", outbox().name).database.command(
        "collMod", outbox().name, validator={"failure": {"$exists": False}}
    )
    try:
        for _ in range(3):
            assert db.outbox.deliver().failed == 1
    finally:
        outbox().database.command("collMod", outbox().name, validator={})
    assert told() == ["outbox_refused"]


def test_an_inbox_that_takes_no_index_takes_documents(databases: Settings, told: Any) -> None:
    inbox().drop()
    inbox().create_index("delivered_at", expireAfterSeconds=5)
    for number in range(3):
        send(number)
        assert db.outbox.deliver().delivered == 1
    inbox().drop()
    assert told() == ["outbox_inbox_index"]


def test_in_a_transaction_nothing_is_delivered_and_nothing_fails(
    databases: Settings, told: Any
) -> None:
    send(1)
    with db.transaction():
        send(2)
        done = db.outbox.deliver()
    assert (done.delivered, done.failed, told()) == (0, 0, [])
    assert db.outbox.deliver().delivered == 2


def test_what_this_process_cannot_deliver_is_counted_until_somebody_mends_it(
    databases: Settings,
) -> None:
    failing = backoff.backoff_of(registry.connection())
    Note(name="taken", number=0, code=TAKEN).save()
    send_refused()
    insert(**{"_id": {"number": 1}})
    db.outbox.deliver()
    assert failing.failing == 2
    outbox().delete_many({})
    db.outbox.deliver()
    assert failing.failing == 0
