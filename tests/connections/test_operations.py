"""What an operation on documents does when the server, the network or the pool fails: whether it
had an effect is known, or the error says that it isn't."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from mongoengine import IntField, ListField, ReferenceField, StringField
from observing import NO_OTHER_LIMIT, error_of
from pymongo import MongoClient
from pymongo.cursor import CursorType
from pymongo.synchronous.topology import Topology
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    DeadlineExceededError,
    NotConnectedError,
    OutcomeUnknownError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.settings import Settings


class Account(Document):
    owner = StringField()
    balance = IntField(default=0)
    moves = ListField(IntField())
    meta = {"indexes": ["owner"]}


class Move(Document):
    account = ReferenceField(Account)


class Visit(Document):
    page = StringField()
    meta = {"db_alias": "database1"}


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Account, Move, Visit):
        yield


@pytest.fixture
def proxy(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: FaultyProxy, database_name: str) -> Iterator[Settings]:
    """Both databases connected through the proxy, their models prepared."""
    uris = {alias: proxy.uri_for(f"{database_name}_{alias}") for alias in ("default", "database1")}
    settings = Settings(databases=uris)
    with db.connected(settings):
        yield settings
        proxy.restore()


def on_the_server(mongod: EmbeddedMongo, settings: Settings, **query: Any) -> list[dict[str, Any]]:
    """The accounts that are really there, read around datalayer and the proxy."""
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        return list(client[settings["default"].database].account.find(query))


def test_a_reference_that_can_t_be_followed_raises_our_error(
    through: Settings, proxy: FaultyProxy
) -> None:
    Move(account=Account(owner="a").save()).save()
    move = Move.objects.get()
    proxy.refuse()
    with pytest.raises((UnavailableError, DeadlineExceededError)), db.deadline(0.5):
        move.account  # noqa: B018 - reading it asks the server


def test_a_reference_is_followed_inside_another_database_s_session(through: Settings) -> None:
    Move(account=Account(owner="a").save()).save()
    move = Move.objects.get()
    with db.session("database1"):
        assert move.account.owner == "a"


# Replies that get lost

WRITES: dict[str, tuple[str, Callable[[Account], object]]] = {
    "save of a new document": ("insert", lambda new: new.save()),
    "insert": ("insert", lambda new: Account.objects().insert(new)),
    "insert of several": ("insert", lambda new: Account.objects.insert([new])),
    "save under db.retry": ("insert", lambda new: db.retry(new.save)()),
    "save under a repeatable db.retry": (
        "insert",
        lambda new: db.retry(repeatable=True)(new.save)(),
    ),
}


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("way", WRITES)
def test_a_document_is_written_once_however_often_the_reply_is_lost(
    mongod: EmbeddedMongo, through: Settings, proxy: FaultyProxy, way: str, lost: int
) -> None:
    command, write = WRITES[way]
    happened = proxy.swallow_reply(command, times=lost)
    error = error_of(lambda: write(Account(owner="a")))
    proxy.restore()
    assert happened.is_set()
    assert len(on_the_server(mongod, through, owner="a")) == 1
    assert error is None or isinstance(error, OutcomeUnknownError)


CHANGES: dict[str, Callable[[Account], object]] = {
    "update_one inc": lambda one: Account.objects(pk=one.pk).update_one(inc__balance=1),
    "modify inc": lambda one: Account.objects(pk=one.pk).modify(inc__balance=1),
    "update push of several": lambda one: Account.objects(pk=one.pk).update(push__moves=1),
    "inc under db.retry": lambda one: db.retry(
        lambda: Account.objects(pk=one.pk).update_one(inc__balance=1)
    )(),
    "inc of several under db.retry": lambda one: db.retry(
        lambda: Account.objects(pk=one.pk).update(inc__balance=1)
    )(),
}


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("way", CHANGES)
def test_an_increment_happens_once_however_often_the_reply_is_lost(
    mongod: EmbeddedMongo, through: Settings, proxy: FaultyProxy, way: str, lost: int
) -> None:
    account = Account(owner="a").save()
    proxy.swallow_reply("findAndModify" if way.startswith("modify") else "update", times=lost)
    error = error_of(lambda: CHANGES[way](account))
    proxy.restore()
    (found,) = on_the_server(mongod, through)
    assert found["balance"] + len(found["moves"]) == 1
    assert error is None or isinstance(error, OutcomeUnknownError)


def test_an_update_of_several_whose_reply_is_lost_has_an_unknown_outcome(
    through: Settings, proxy: FaultyProxy
) -> None:
    Account(owner="a").save()
    proxy.swallow_reply("update")
    with pytest.raises(OutcomeUnknownError) as caught:
        Account.objects.update(inc__balance=1)
    assert "update_many on account of 'default'" in str(caught.value)
    assert caught.value.alias == "default"


def test_a_write_whose_every_reply_is_lost_has_an_unknown_outcome(
    mongod: EmbeddedMongo, through: Settings, proxy: FaultyProxy
) -> None:
    proxy.swallow_reply("insert", times=1000, cut=False)
    with pytest.raises(OutcomeUnknownError), db.deadline(1):
        Account(owner="a").save()
    assert len(on_the_server(mongod, through, owner="a")) == 1


def test_repeatable_work_is_done_again_after_an_unknown_outcome(
    mongod: EmbeddedMongo, through: Settings, proxy: FaultyProxy
) -> None:
    Account(owner="a").save()
    proxy.swallow_reply("update")
    db.retry(repeatable=True)(lambda: Account.objects.update(set__balance=7))()
    assert [each["balance"] for each in on_the_server(mongod, through)] == [7]


def test_retry_ends_within_its_total_time(through: Settings, proxy: FaultyProxy) -> None:
    proxy.refuse()
    with pytest.raises(UnavailableError):  # a thousand attempts would take an hour
        db.retry(attempts=1000, max_seconds=1.0)(Account.objects.count)()


# A server that is away

READS: dict[str, Callable[[], object]] = {
    "first": lambda: Account.objects().first(),
    "list": lambda: list(Account.objects),
    "count": lambda: Account.objects().count(),
    "distinct": lambda: Account.objects.distinct("owner"),
    "aggregate": lambda: list(Account.objects.aggregate([{"$match": {}}])),
    "sum": lambda: Account.objects.sum("balance"),
    "explain": lambda: Account.objects().explain(),
    "get": lambda: Account.objects.get(owner="a"),
    "raw batches": lambda: list(Account._get_collection().find_raw_batches({})),
}


@pytest.mark.parametrize("way", READS)
def test_reading_from_a_server_that_is_away_raises_unavailable(
    through: Settings, proxy: FaultyProxy, way: str
) -> None:
    Account(owner="a").save()
    proxy.refuse()
    with pytest.raises(UnavailableError) as caught, db.deadline(0.3):
        READS[way]()
    assert caught.value.alias == "default"


def test_writing_to_a_server_that_is_away_had_no_effect(
    mongod: EmbeddedMongo, through: Settings, proxy: FaultyProxy
) -> None:
    Account(owner="first").save()
    proxy.refuse()
    wait_until(lambda: db.database.state == "unavailable")
    with pytest.raises(UnavailableError, match="had no effect"), db.deadline(0.3):
        Account(owner="second").save()
    proxy.restore()
    assert [each["owner"] for each in on_the_server(mongod, through)] == ["first"]


def test_a_read_that_hangs_ends_at_its_deadline(proxy: FaultyProxy, database_name: str) -> None:
    databases = {
        alias: {"uri": proxy.uri_for(f"{database_name}_{alias}"), **NO_OTHER_LIMIT}
        for alias in ("default", "database1")
    }
    with db.connected(Settings(databases=databases)):
        Account(owner="a").save()
        proxy.hang()
        with pytest.raises((DeadlineExceededError, UnavailableError)), db.deadline(0.5):
            Account.objects.first()
        proxy.restore()


def test_a_later_batch_of_a_cursor_raises_our_errors_too(
    through: Settings, proxy: FaultyProxy
) -> None:
    Account.objects.insert([Account(owner=str(number)) for number in range(10)])
    found = iter(Account.objects.batch_size(2).no_cache())
    next(found)
    proxy.refuse()
    with pytest.raises(UnavailableError), db.deadline(1):
        list(found)


def test_a_query_that_takes_too_long_exceeds_its_deadline(
    mongod: EmbeddedMongo,
) -> None:
    with connected(settings_for(mongod)):
        Account(owner="a").save()
        with pytest.raises(DeadlineExceededError, match=r"db\.deadline"), db.deadline(0.2):
            Account.objects(__raw__={"$where": "sleep(5000) || true"}).first()


def test_duplicate_keys_stay_mongoengines_error(mongod: EmbeddedMongo) -> None:
    from mongoengine import NotUniqueError

    with connected(settings_for(mongod)):
        saved = Account(owner="a").save()
        with pytest.raises(NotUniqueError):
            Account(id=saved.pk).save(force_insert=True)


def test_an_operation_after_disconnecting_says_so(mongod: EmbeddedMongo) -> None:
    with connected(settings_for(mongod)):
        collection = Account._get_collection()
        account = Account(owner="a").save()
        cursor = Account.objects.batch_size(1)
        db.disconnect_all()
        for late in (account.save, cursor.first, lambda: collection.insert_one({})):
            with pytest.raises(NotConnectedError):
                late()


# Write concern


def test_a_write_that_too_few_members_confirm_may_exist(mongod: EmbeddedMongo) -> None:
    settings = settings_for(mongod)
    uri = settings["default"].uri + "&w=5"
    options = {"uri": uri, "auto_create": False, "auto_index": False}
    with db.connected(Settings(databases={"default": options})):
        with pytest.raises(OutcomeUnknownError, match="may exist"):
            Account(owner="a").save()
        with pytest.raises(OutcomeUnknownError, match="may exist"):
            Account.objects.insert([Account(owner="b")])
    owners = {each["owner"] for each in on_the_server(mongod, settings)}
    assert owners == {"a", "b"}


@pytest.mark.stops_processes
@pytest.mark.slow
def test_a_write_without_a_majority_may_exist(replset: EmbeddedMongo) -> None:
    with connected(settings_for(replset)):
        Account(owner="prepared").save()
        secondaries = [n for n in range(3) if n != replset.primary]
        for number in secondaries:
            replset.pause(number)
        with pytest.raises(OutcomeUnknownError), db.deadline(1.5):
            Account(owner="a").save()
        for number in secondaries:
            replset.resume(number)
        replset.wait_for_primary()
        assert Account.objects(owner="a").count() in (0, 1)


# The pool


@contextmanager
def the_only_connection_held(settings: Settings) -> Iterator[None]:
    """An exhaust cursor keeps its connection until it is closed."""
    raw = db.database.client[settings["default"].database].account
    cursor = raw.find(cursor_type=CursorType.EXHAUST, batch_size=1)
    next(cursor)
    try:
        yield
    finally:
        cursor.close()


@pytest.fixture
def one_connection(mongod: EmbeddedMongo) -> Iterator[Settings]:
    options = {"max_pool_size": 1, "min_pool_size": 1, "wait_queue_timeout_ms": 300}
    with connected(settings_for(mongod, **{**NO_OTHER_LIMIT, **options})) as settings:
        Account.objects.insert([Account(owner=str(number)) for number in range(300)])
        yield settings


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: Account.objects().first(), id="read"),
        pytest.param(lambda: Account.objects().count(), id="count"),
        pytest.param(lambda: Account(owner="a").save(), id="write"),
        pytest.param(lambda: Account.objects.update(inc__balance=1), id="update"),
    ],
)
def test_an_exhausted_pool_ends_the_wait_at_its_limit(
    one_connection: Settings, call: Callable[[], object]
) -> None:
    with the_only_connection_held(one_connection), pytest.raises(PoolExhaustedError) as caught:
        call()
    text = str(caught.value)
    assert "'default'" in text
    assert "all 1 are in use and 1 operations wait" in text
    assert db.status()["default"]["pool"]["timeouts"] == 1


def test_the_operations_own_deadline_ends_the_wait_sooner(mongod: EmbeddedMongo) -> None:
    options = {"max_pool_size": 1, "min_pool_size": 1, **NO_OTHER_LIMIT}
    with connected(settings_for(mongod, **options)) as settings:
        Account.objects.insert([Account(owner=str(number)) for number in range(300)])
        with (
            the_only_connection_held(settings),
            pytest.raises(PoolExhaustedError),
            db.deadline(0.1),
        ):
            Account.objects.first()


def test_waiters_of_an_exhausted_pool_go_on_when_a_connection_comes_back(
    one_connection: Settings,
) -> None:
    found: list[Any] = []
    waiter = threading.Thread(target=lambda: found.append(Account.objects(owner="7").count()))
    with the_only_connection_held(one_connection):
        waiter.start()
        wait_until(lambda: db.database.status_unasked(None)["pool"]["waiting"] == 1)
    waiter.join(60)
    assert found == [1]


# Leaks


def test_a_held_connection_is_logged_with_where_it_was_taken(
    mongod: EmbeddedMongo, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(settings_for(mongod, leak_warning_ms=500)) as settings:
        Account.objects.insert([Account(owner=str(number)) for number in range(300)])
        with (
            caplog.at_level(logging.WARNING, "datalayer.leaks"),
            the_only_connection_held(settings),
        ):
            wait_until(lambda: [r for r in caplog.records if r.name == "datalayer.leaks"])
            record = next(r for r in caplog.records if r.name == "datalayer.leaks")
    text = record.getMessage()
    assert "a connection of default is held for" in text
    assert 'test_operations.py", line' in text
    assert "next(cursor)" in text
    assert len([r for r in caplog.records if r.name == "datalayer.leaks"]) == 1


def test_connections_that_come_back_in_time_are_not_logged(
    mongod: EmbeddedMongo, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(settings_for(mongod, leak_warning_ms=5000)):
        Account(owner="a").save()
        leaks = registry.connection().monitors.leaks
        assert leaks is not None
        assert leaks._held == {}
    assert [r for r in caplog.records if r.name == "datalayer.leaks"] == []


def test_leaks_are_not_looked_for_unless_asked(mongod: EmbeddedMongo) -> None:
    with connected(settings_for(mongod)):
        assert registry.connection().monitors.leaks is None


# The circuit breaker


@contextmanager
def servers_looked_for() -> Iterator[list[object]]:
    """Notes each time that an operation asks the driver for a server, which takes its time where
    there is none."""
    seen: list[object] = []
    original = Topology.select_servers

    def select_servers(topology: Topology, *args: Any, **options: Any) -> Any:
        seen.append(topology)
        return original(topology, *args, **options)

    with patch.object(Topology, "select_servers", select_servers):
        yield seen


def test_calls_to_an_optional_database_that_is_away_fail_at_once(
    mongod: EmbeddedMongo, database_name: str, proxy: FaultyProxy
) -> None:
    uris = {"default": mongod.uri_for(database_name), "database1": proxy.uri_for(database_name)}
    with db.connected(Settings(databases=uris)):
        Visit(page="/").save()
        proxy.refuse()
        wait_until(lambda: db.database1.status_unasked(None)["circuit_breaker"] == "open")
        with servers_looked_for() as looked_for:
            errors = [error_of(Visit(page="/").save) for _ in range(101)]
        assert {type(error) for error in errors} == {UnavailableError}
        assert len(looked_for) < 10  # one is let through now and then, to see
        assert Account(owner="a").save().pk  # business goes on


def test_the_breaker_closes_when_the_database_is_back(
    mongod: EmbeddedMongo, database_name: str, proxy: FaultyProxy
) -> None:
    uris = {
        "default": mongod.uri_for(database_name),
        "database1": proxy.uri_for(database_name) + "&heartbeatFrequencyMS=500",
    }
    with db.connected(Settings(databases=uris)):
        proxy.refuse()
        wait_until(lambda: db.database1.status_unasked(None)["circuit_breaker"] == "open")
        proxy.restore()
        wait_until(lambda: db.database1.status_unasked(None)["circuit_breaker"] == "closed")
        Visit(page="/").save()
        assert Visit.objects.count() == 1


def test_a_database_that_was_away_at_start_is_refused_at_once_until_it_joins(
    mongod: EmbeddedMongo, database_name: str, proxy: FaultyProxy
) -> None:
    proxy.refuse()
    uris = {
        "default": mongod.uri_for(database_name),
        "database1": {
            "uri": proxy.uri_for(database_name) + "&heartbeatFrequencyMS=500",
            "retry_attempts": 1,
            "server_selection_timeout_ms": 200,
        },
    }
    with db.connected(Settings(databases=uris)):
        with servers_looked_for() as looked_for:
            assert isinstance(error_of(Visit(page="/").save), UnavailableError)
        assert looked_for == []
        proxy.restore()
        wait_until(
            lambda: db.database1.state == "connected" and not error_of(Visit(page="/").save)
        )


def test_a_required_database_has_no_breaker(mongod: EmbeddedMongo) -> None:
    with connected(settings_for(mongod)):
        assert db.status()["default"]["circuit_breaker"] is None
        assert db.status()["database1"]["circuit_breaker"] == "closed"
