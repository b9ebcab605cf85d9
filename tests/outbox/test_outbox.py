"""What a transaction leaves for another database arrives there exactly once, in order, whatever
crashes meanwhile."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry
from mongoengine import IntField, StringField, ValidationError
from paths import PROGRAMS
from places import Place, up_to_date
from pymongo import MongoClient, ReadPreference
from waiting import wait_until

from datalayer import db
from datalayer.concurrency.threads import side_by_side
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.errors import NotConnectedError, TransactionError, UnavailableError
from datalayer.outbox.entries import OUTBOX
from datalayer.settings import Settings

RELAYING = PROGRAMS / "relaying.py"


class Sale(Document):
    number = IntField()


class Told(Document):
    customer = StringField(required=True)
    number = IntField()
    code = StringField(unique=True, sparse=True)
    meta = {"db_alias": "database1"}


class Reading(Document):
    meta = {"db_alias": "database1", "timeseries": {"timeField": "at"}}


@pytest.fixture(scope="module")
def connected_databases(place: Place) -> Iterator[Settings]:
    with model_registry(Sale, Told), connected(place.settings()) as settings:
        yield settings


@pytest.fixture
def apart(place: Place, database_name: str) -> Iterator[str]:
    """The name of a database for connections of a test's own."""
    db.disconnect_all()
    with model_registry(Sale, Told):
        yield database_name
    db.disconnect_all()
    with MongoClient[dict[str, Any]](place.uri) as client:
        for name in (database_name, f"{database_name}_1"):
            client.drop_database(name)


@db.transactional
def sell(customer: str, number: int) -> None:
    Sale(number=number).save()
    db.outbox.add(Told(customer=customer, number=number), key=customer)


def arrived(customer: str) -> list[int]:
    """The numbers told of ``customer``, in the order of their arrival."""
    stored = Told._get_collection().with_options(read_preference=ReadPreference.PRIMARY)
    return [each["number"] for each in stored.find({"customer": customer}).sort("$natural", 1)]


def told() -> int:
    with up_to_date():
        return int(Told.objects.count())


def test_it_arrives_after_the_commit(databases: Settings) -> None:
    with db.transaction():
        Sale(number=1).save()
        db.outbox.add(Told(customer="a", number=1))
        assert db.outbox.deliver().delivered == 0
    assert told() == 0
    assert db.outbox.deliver().delivered == 1
    assert arrived("a") == [1]
    assert db.outbox.waiting().entries == 0


@pytest.mark.parametrize("options", ["readPreference=secondary", "readConcernLevel=linearizable"])
def test_it_arrives_whichever_way_a_uri_reads(place: Place, apart: str, options: str) -> None:
    if len(place.server.hosts) == 1:  # connecting says that there is no secondary to read from
        options = options.replace("=secondary", "=secondaryPreferred")
    uris = {
        "default": f"{place.server.uri_for(apart)}&{options}",
        "database1": f"{place.server.uri_for(apart + '_1')}&{options}",
    }
    with db.connected(Settings(databases=uris)):
        sell("a", 1)
        sell("a", 2)
        assert db.outbox.waiting().entries == 2
        assert db.outbox.deliver().delivered == 2
        assert db.outbox.waiting().entries == 0
        assert arrived("a") == [1, 2]


def test_after_a_rollback_nothing_arrives(databases: Settings) -> None:
    def broken() -> None:
        with db.transaction():
            db.outbox.add(Told(customer="a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert db.outbox.deliver().delivered == 0
    assert told() == 0


def test_outside_a_transaction_it_has_one_of_its_own(databases: Settings) -> None:
    db.outbox.add(Told(customer="a", number=1))
    assert db.outbox.waiting().entries == 1
    db.outbox.deliver()
    assert arrived("a") == [1]


def test_documents_with_one_key_arrive_in_order(databases: Settings) -> None:
    for number in range(50):
        sell("a", number)
        sell("b", number)
    assert db.outbox.deliver().delivered == 100
    assert (arrived("a"), arrived("b")) == (list(range(50)), list(range(50)))


def test_threads_that_use_one_key_leave_no_gap(databases: Settings) -> None:
    threads = [threading.Thread(target=sell, args=["a", number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    db.outbox.deliver()
    assert sorted(arrived("a")) == list(range(8))


def test_an_entry_that_comes_again_is_not_written_again(databases: Settings) -> None:
    """As after a crash between the delivery and its removal from the outbox."""
    outbox = registry.connection().database[OUTBOX]
    for key in ("a", None):
        db.outbox.add(Told(customer="a", number=1), key=key)
    stored = list(outbox.with_options(read_preference=ReadPreference.PRIMARY).find())
    db.outbox.deliver()
    Told.objects.update(set__number=2)
    outbox.insert_many(stored)
    assert db.outbox.deliver().delivered == 2
    assert arrived("a") == [2, 2]


def test_several_relays_at_once_deliver_each_document_once(databases: Settings) -> None:
    for number in range(100):
        sell("a", number)
        db.outbox.add(Told(customer="b", number=number))
    threads = [threading.Thread(target=db.outbox.deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    db.outbox.deliver()
    assert arrived("a") == list(range(100))
    assert sorted(arrived("b")) == list(range(100))


def test_a_refused_document_holds_up_only_those_behind_it(
    databases: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    Told(customer="x", code="taken").save()
    db.outbox.add(Told(customer="a", number=1), key="a")
    db.outbox.add(Told(customer="a", number=2, code="taken"), key="a")
    db.outbox.add(Told(customer="a", number=3), key="a")
    db.outbox.add(Told(customer="b", number=1), key="b")
    with caplog.at_level(logging.ERROR, "datalayer.outbox"):
        done = db.outbox.deliver()
    assert (done.delivered, done.failed) == (2, 2)
    assert (arrived("a"), arrived("b")) == ([1], [1])
    assert [record.event for record in caplog.records] == ["outbox_refused"]
    assert "taken" not in caplog.text
    Told.objects(code="taken").delete()
    db.outbox.deliver()
    assert arrived("a") == [1, 2, 3]


def test_an_invalid_document_is_refused_when_it_is_added(databases: Settings) -> None:
    with pytest.raises(ValidationError, match="customer"):
        db.outbox.add(Told())


def test_a_model_of_the_same_database_is_refused(databases: Settings) -> None:
    with pytest.raises(TransactionError, match="save it in the transaction"):
        db.outbox.add(Sale())


def test_a_time_series_is_refused(databases: Settings) -> None:
    with pytest.raises(TransactionError, match="time-series"):
        db.outbox.add(Reading())


def test_a_transaction_elsewhere_is_refused(databases: Settings) -> None:
    with pytest.raises(TransactionError, match="does not cover"), db.transaction("database1"):
        db.outbox.add(Told(customer="a"))


def test_a_target_that_is_away_gets_it_later(place: Place, apart: str) -> None:
    with FaultyProxy(place.primary) as proxy:
        uris = {
            "default": place.uri_for(apart),
            "database1": place.through(proxy, f"{apart}_1") + "&heartbeatFrequencyMS=500",
        }
        with db.connected(Settings(databases=uris)):
            proxy.refuse()
            sell("a", 1)
            with pytest.raises(UnavailableError), db.deadline(1):
                db.outbox.deliver()
            assert db.outbox.waiting().entries == 1
            proxy.restore()
            wait_until(lambda: db.database1.status_unasked(None)["circuit_breaker"] == "closed")
            db.outbox.deliver()
            assert arrived("a") == [1]


@pytest.mark.parametrize(
    ("command", "lost"),
    [
        ("update", 1),
        ("update", 2),
        ("commitTransaction", 1),
        ("commitTransaction", 2),
        ("delete", 1),
    ],
)
def test_a_lost_reply_doubles_nothing(place: Place, apart: str, command: str, lost: int) -> None:
    with FaultyProxy(place.primary) as proxy:
        uris = {
            "default": place.through(proxy, apart),
            "database1": place.through(proxy, f"{apart}_1"),
        }
        with db.connected(Settings(databases=uris)):
            for number in range(5):
                sell("a", number)
            happened = proxy.swallow_reply(command, times=lost)
            wait_until(lambda: db.outbox.deliver() and db.outbox.waiting().entries == 0)
            assert happened.is_set()
            assert arrived("a") == list(range(5))


@pytest.mark.slow
def test_killed_relays_deliver_each_document_once_and_in_order(
    short_lived_transactions: None, databases: Settings
) -> None:
    chance = random.Random(7)
    for number in range(100):  # in each of four places
        sell("a", number)
        if number % 4 == 0:
            db.outbox.add(Told(customer="b", number=number))
    uris = [databases[alias].uri for alias in ("default", "database1")]
    kills = 0
    while db.outbox.waiting().entries and kills < 4:
        relay = subprocess.Popen(
            [sys.executable, RELAYING, *uris], stdout=subprocess.PIPE, text=True
        )
        with relay:
            assert relay.stdout is not None
            assert relay.stdout.readline() == "ready\n"
            time.sleep(chance.random() * 0.05)  # the moment of the kill, rather than a wait
            relay.kill()
        kills += 1
    wait_until(lambda: db.outbox.deliver() and db.outbox.waiting().entries == 0)
    assert kills > 0
    assert arrived("a") == list(range(100))
    assert sorted(arrived("b")) == list(range(0, 100, 4))


def test_a_thread_delivers_what_comes_in(databases: Settings) -> None:
    db.outbox.start(interval_seconds=0.01)
    assert db.outbox.running()
    sell("a", 1)
    wait_until(lambda: arrived("a") == [1])
    db.outbox.stop()
    assert not db.outbox.running()


def test_started_by_many_at_once_there_is_one_thread(databases: Settings) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            side_by_side({str(n): db.outbox.start for n in range(8)})
            alive = [t for t in threading.enumerate() if t.name == "datalayer-outbox-default"]
            assert len(alive) == 1
            db.outbox.stop()
    finally:
        sys.setswitchinterval(before)


def test_disconnecting_ends_the_thread(databases: Settings) -> None:
    db.outbox.start()
    db.disconnect_all()
    assert not db.outbox.running()
    assert [t.name for t in threading.enumerate() if t.name.startswith("datalayer-outbox")] == []


def test_the_thread_outlives_a_target_that_is_away(place: Place, apart: str) -> None:
    with FaultyProxy(place.primary) as proxy:
        uris = {
            "default": place.uri_for(apart),
            "database1": place.through(proxy, f"{apart}_1") + "&heartbeatFrequencyMS=500",
        }
        with db.connected(Settings(databases=uris)):
            db.outbox.start(interval_seconds=0.01)
            proxy.refuse()
            sell("a", 1)
            wait_until(lambda: db.database1.status_unasked(None)["circuit_breaker"] == "open")
            proxy.restore()
            wait_until(lambda: arrived("a") == [1] if db.database1.is_connected else False)


def test_without_a_connection_nothing_starts(apart: str) -> None:
    with pytest.raises(NotConnectedError):
        db.outbox.start()
