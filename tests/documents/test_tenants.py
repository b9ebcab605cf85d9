"""Other databases of an alias's server, over its client: where operations go, which names are
taken, and what is built there."""

from __future__ import annotations

import contextvars
import logging
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from fresh_databases import connected, model_registry
from mongoengine import IntField, StringField
from mongoengine.fields import DateTimeField, SequenceField
from pymongo import MongoClient

from datalayer import db
from datalayer.connections import connection as connections
from datalayer.connections.registry import registry
from datalayer.contrib.prometheus import metrics
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    ConfigurationError,
    DeadlineExceededError,
    IndexBuildError,
    NotConnectedError,
    TenantError,
)
from datalayer.settings import Settings


class Order(Document):
    number = IntField(unique=True)
    place = StringField()
    meta = {"indexes": ["place"]}


class Numbered(Document):
    number = SequenceField()


class Reading(Document):
    at = DateTimeField()
    meta = {"timeseries": {"timeField": "at"}}


class Event(Document):
    name = StringField()
    meta = {"db_alias": "database1"}


MODELS = (Order, Numbered, Reading, Event)


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(*MODELS):
        yield
        db.router(None)
        db.tenants()
        db.tenants(alias="database1")


@pytest.fixture
def databases(mongod: EmbeddedMongo, database_name: str) -> Iterator[Settings]:
    aliases = ("default", "database1", "archive")
    uris = {alias: mongod.uri_for(f"{database_name}_{alias}") for alias in aliases}
    with connected(Settings(databases=uris)) as settings:
        yield settings


@pytest.fixture
def tenant(databases: Settings, database_name: str) -> str:
    return f"{database_name}_t"


@pytest.fixture
def client(databases: Settings, mongod: EmbeddedMongo) -> Iterator[MongoClient[Any]]:
    with MongoClient(mongod.uri) as client:
        yield client


def places() -> list[str]:
    return sorted(order.place for order in Order.objects)


# Where operations go


def test_inside_a_block_operations_go_to_the_other_database(tenant: str) -> None:
    Order(place="here").save()
    with db.using(database=tenant):
        Order(place="there").save()
        assert places() == ["there"]
    assert places() == ["here"]


def test_one_client_serves_all(tenant: str) -> None:
    before = threading.active_count()
    client = db.get("default").client
    for number in range(5):
        with db.using(database=f"{tenant}{number}"):
            Order(number=number).save()
            assert Order._get_collection().database.client is client
    assert threading.active_count() <= before


def test_other_aliases_stay_where_they_are_unless_named(tenant: str) -> None:
    with db.using(database=tenant):
        Event(name="shared").save()
    assert [event.name for event in Event.objects] == ["shared"]
    with db.using(database1=("database1", tenant)):
        assert Event.objects.count() == 0
        Event(name="theirs").save()
        assert Order._get_collection().database.name != tenant
    assert [event.name for event in Event.objects] == ["shared"]


def test_blocks_can_be_nested(tenant: str) -> None:
    with db.using(database=tenant):
        with db.using(database=f"{tenant}2"):
            Order(place="inner").save()
        with db.using(default="default"):  # an alias alone means its own database
            Order(place="own").save()
        Order(place="outer", number=1).save()
        assert places() == ["outer"]
    assert places() == ["own"]


def test_the_database_is_that_of_the_alias_which_stands_for_default(tenant: str) -> None:
    with db.using(default="archive"), db.using(database=tenant):
        connection = registry.connection_named("archive")
        assert Order._get_collection()._home.place == ("archive", tenant)
        assert connection.place == ("archive", None)
    with db.using(default="archive", database=tenant):
        assert Order._get_collection()._home.place == ("archive", tenant)


def test_a_function_can_say_alias_and_database(tenant: str) -> None:
    chosen = {"database": tenant}

    @db.router
    def by_tenant(model: Any) -> tuple[str, str] | None:
        return ("default", chosen["database"]) if model is Order else None

    Order(place="first").save()
    chosen["database"] = f"{tenant}2"
    assert places() == []
    Numbered().save()
    assert Numbered._get_collection().database.name.endswith("_default")
    with db.using(database=tenant):
        assert places() == ["first"]


def test_raw_access_follows(tenant: str) -> None:
    with db.using(database=tenant):
        assert db.database.name == tenant
        assert registry.connection("default").database.name == tenant
    assert db.database.name != tenant


def test_the_status_tells_of_the_alias(tenant: str, database_name: str) -> None:
    with db.using(database=tenant):
        Order(number=1).save()
        status = db.status()
    assert status["default"]["database"] == f"{database_name}_default"
    assert set(status) == {"default", "database1", "archive"}


def test_a_queryset_that_was_begun_inside_is_read_there_afterwards(tenant: str) -> None:
    with db.using(database=tenant):
        Order(place="there").save()
        begun = Order.objects.filter(place="there")
    assert [order.place for order in begun] == ["there"]
    assert begun.count() == 1
    assert begun.delete() == 1


def test_a_queryset_can_be_sent_to_a_database(tenant: str) -> None:
    Order.objects.using(("default", tenant)).create(place="there")
    assert places() == []
    with db.using(database=tenant):
        assert places() == ["there"]


def test_a_copy_of_the_context_stays_there(tenant: str) -> None:
    with db.using(database=tenant):
        context = contextvars.copy_context()
    context.run(Order(place="there").save)
    assert places() == []
    assert context.run(places) == ["there"]


def test_other_threads_stay_where_they_are(tenant: str) -> None:
    names: list[str] = []
    with db.using(database=tenant):
        thread = threading.Thread(
            target=lambda: names.append(Order._get_collection().database.name)
        )
        thread.start()
        thread.join()
    assert names != [tenant]


def test_a_child_process_goes_on_there(tenant: str) -> None:
    with db.using(database=tenant):
        Order(number=1).save()
        child = os.fork()
        if child == 0:
            try:
                Order(number=2, place="of the child").save()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert Order.objects.get(number=2).place == "of the child"


def test_sequences_count_in_each_database(tenant: str) -> None:
    assert [Numbered().save().number for _ in range(2)] == [1, 2]
    with db.using(database=tenant):
        assert Numbered().save().number == 1
    assert Numbered().save().number == 3


# What is built there


def test_indexes_are_built_before_the_first_write(tenant: str, client: MongoClient[Any]) -> None:
    with db.using(database=tenant):
        assert Order.objects.count() == 0
        assert tenant not in client.list_database_names()
        Order(number=1).save()
    assert set(client[tenant]["order"].index_information()) == {"_id_", "number_1", "place_1"}


def test_indexes_are_built_once(tenant: str) -> None:
    with db.using(database=tenant):
        Order(number=1).save()
        commands = db.status()["default"]["commands"]["total"]
        for number in range(2, 5):
            Order(number=number).save()
        assert db.status()["default"]["commands"]["total"] - commands <= 3 + 1  # the ping


def test_a_time_series_is_one_in_each_database(tenant: str, client: MongoClient[Any]) -> None:
    with db.using(database=tenant):
        Reading(at=datetime(2026, 1, 1)).save()
    (found,) = client[tenant].list_collections(filter={"name": "reading"})
    assert found["type"] == "timeseries"


def test_what_was_dropped_is_built_again(tenant: str, client: MongoClient[Any]) -> None:
    with db.using(database=tenant):
        Order(number=1).save()
        db.database.client.drop_database(tenant)
        Order(number=1).save()
    assert "number_1" in client[tenant]["order"].index_information()


def test_what_another_client_dropped_is_built_again_after_a_look(
    tenant: str, client: MongoClient[Any]
) -> None:
    with db.using(database=tenant):
        Order(number=1).save()
        client.drop_database(tenant)
        registry.connection("default").built_indexes.look_again_at = 0.0
        Order(number=1).save()
    assert "number_1" in client[tenant]["order"].index_information()


def test_as_a_decorator(tenant: str) -> None:
    @db.using(database=tenant)
    def name() -> str:
        return str(Order._get_collection().database.name)

    assert [name(), name()] == [tenant, tenant]
    assert Order._get_collection().database.name != tenant


def test_threads_that_begin_at_the_same_time_share_one_build(
    tenant: str, client: MongoClient[Any]
) -> None:
    at_once = threading.Barrier(8)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with db.using(database=tenant):
                at_once.wait(10)
                Order(number=number).save()
        except BaseException as exc:
            failed.append(exc)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert client[tenant]["order"].count_documents({}) == 8


def test_dropping_the_collection_of_a_tenant_leaves_the_others(
    tenant: str, client: MongoClient[Any]
) -> None:
    Order(number=1).save()
    with db.using(database=tenant):
        Order(number=1).save()
        Order.drop_collection()
        assert Order.objects.count() == 0
    assert Order.objects.count() == 1


def test_what_is_known_of_databases_is_bounded(
    tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_DATABASES", 3)
    own = registry.own_connection("default")
    for number in range(10):
        with db.using(database=f"{tenant}{number}"):
            Order._get_collection()
    assert len(own.others()) == 3


def test_a_transaction_may_span_tenants(tenant: str) -> None:
    other = f"{tenant}2"

    def move() -> None:
        with db.using(database=tenant):
            Order.objects.get(number=1).delete()
        with db.using(database=other):
            Order(number=1).save()

    def move_and_fail() -> None:
        move()
        raise RuntimeError

    for name in (tenant, other):
        with db.using(database=name):
            Order.ensure_indexes()
    with db.using(database=tenant):
        Order(number=1).save()
    with pytest.raises(RuntimeError), db.transaction():
        move_and_fail()
    with db.using(database=tenant):
        assert Order.objects.count() == 1
    db.transactional(move)()
    with db.using(database=tenant):
        assert Order.objects.count() == 0
    with db.using(database=other):
        assert Order.objects.count() == 1


def test_a_transaction_on_a_new_tenant_writes_at_once(tenant: str) -> None:
    with db.using(database=tenant):
        with db.transaction():
            Order(number=1).save()
            Numbered().save()
        assert Order.objects.count() == 1
    db.router(lambda model: ("default", f"{tenant}2") if model is Order else None)
    with db.transaction():
        Order(number=1).save()
    assert Order.objects.count() == 1


# Names


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("admin", "one of the server's own"),
        ("LOCAL", "one of the server's own"),
        ("config", "one of the server's own"),
        ("", "not empty"),
        ("a" * 64, "at most 63 bytes"),
        ("ü" * 32, "at most 63 bytes"),
        ("a.b", "can't contain '.'"),
        ("a/b", "can't contain '/'"),
        ("$external", "can't contain '$'"),
        ("a b", "can't contain ' '"),
        ("a\x00", "can't contain"),
        ("\ud800", "isn't Unicode"),
    ],
)
def test_names_that_no_tenant_has_are_refused(databases: Settings, name: str, told: str) -> None:
    with pytest.raises(TenantError, match=re.escape(told)), db.using(database=name):
        raise AssertionError


def test_the_applications_own_databases_are_refused(databases: Settings) -> None:
    for settings in databases.values():
        with pytest.raises(TenantError, match="own"), db.using(database=settings.database):
            raise AssertionError


def test_only_names_of_the_pattern_are_taken(tenant: str) -> None:
    db.tenants(rf"{tenant}_[a-z0-9]+")
    with db.using(database=f"{tenant}_42"):
        Order(number=1).save()
    for name in (f"{tenant}_42\n", f"x{tenant}_42", "admin"):
        with pytest.raises(TenantError), db.using(database=name):
            raise AssertionError
    with db.using(database1=("database1", "of_another_alias")):
        pass


def test_only_known_names_are_taken(tenant: str) -> None:
    db.tenants(known={tenant})
    with db.using(database=tenant):
        pass
    with pytest.raises(TenantError, match="told of none") as caught, db.using(database="other"):
        raise AssertionError
    assert (caught.value.alias, caught.value.database) == ("default", "other")


def test_a_function_that_knows_them_is_asked_outside_of_blocks(tenant: str) -> None:
    Order(place=tenant).save()
    Order(place=f"{tenant}2", number=1).save()
    db.tenants(known=lambda name: Order.objects(place=name).first())
    with db.using(database=tenant), db.using(database=f"{tenant}2"):
        assert Order.objects.count() == 0
    with pytest.raises(TenantError), db.using(database=f"{tenant}3"):
        raise AssertionError


def test_what_a_router_gives_is_checked(tenant: str) -> None:
    db.tenants("tenant_[0-9]+")
    db.router(lambda model: ("default", "admin"))
    with pytest.raises(TenantError, match="one of the server's own"):
        Order.objects.count()
    db.router(lambda model: ("default", tenant))
    with pytest.raises(TenantError, match="pattern"):
        Order(number=1).save()


def test_a_long_name_is_shown_in_part(databases: Settings) -> None:
    with pytest.raises(TenantError) as caught, db.using(database="x" * 100_000):
        raise AssertionError
    assert len(str(caught.value)) < 300


def test_none_is_no_database(databases: Settings) -> None:
    nobody: Any = None
    with pytest.raises(TypeError), db.using(database=nobody):
        raise AssertionError


def test_an_alias_that_is_not_connected_is_refused_at_once(databases: Settings) -> None:
    with pytest.raises(NotConnectedError), db.using(default=("elsewhere", "tenant")):
        raise AssertionError


def test_two_databases_for_one_alias_are_refused(databases: Settings) -> None:
    with (
        pytest.raises(ConfigurationError, match="two databases"),
        db.using(default=("archive", "one"), database="other"),
    ):
        raise AssertionError


def test_an_alias_called_database_is_used_by_a_mapping(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    uris = {alias: mongod.uri_for(f"{database_name}_{alias}") for alias in ("default", "database")}
    with connected(Settings(databases=uris)):
        with (
            pytest.raises(ConfigurationError, match="alias 'database'"),
            db.using(database="default"),
        ):
            raise AssertionError
        with db.using({"default": "database"}):
            assert Order._get_collection().database.name == f"{database_name}_database"
        with db.using(default=("default", f"{database_name}_t")):
            assert Order._get_collection().database.name == f"{database_name}_t"


# What people are told


def test_errors_name_the_database(tenant: str, client: MongoClient[Any]) -> None:
    client[tenant]["order"].insert_many([{"number": 1}, {"number": 1}])
    with db.using(database=tenant), pytest.raises(IndexBuildError, match=repr(tenant)) as caught:
        Order(number=2).save()
    assert caught.value.alias == "default"
    with (
        db.using(database=tenant),
        db.deadline(0.0001),
        pytest.raises(DeadlineExceededError, match=repr(tenant)),
    ):
        Order.objects.count()


def test_slow_commands_name_the_database(
    tenant: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = registry.own_connection("default").monitors.commands
    monkeypatch.setattr(monitor, "_slow_microseconds", 0)
    with caplog.at_level(logging.WARNING, "datalayer"):
        Order.objects.count()
        with db.using(database=tenant):
            Order.objects.count()
    own, theirs = (each for each in caplog.records if getattr(each, "event", "") == "slow_command")
    assert tenant not in own.getMessage()
    assert f"slow command on default {tenant}: " in theirs.getMessage()
    assert [each.database for each in monitor.slow_commands()[:2]] == [tenant, None]


def test_metrics_have_no_label_for_a_database(tenant: str) -> None:
    def readings() -> int:
        return len([*metrics.gauges(), *metrics.counted()])

    before = readings()
    for number in range(3):
        with db.using(database=f"{tenant}{number}"):
            Order(number=number).save()
    assert readings() == before
    assert tenant not in repr([*metrics.gauges(), *metrics.counted()])


def test_on_mongomock_as_well() -> None:
    pytest.importorskip("mongomock")
    with model_registry(Order), db.connected(Settings(databases={"default": "mongomock://own"})):
        with db.using(database="tenant_1"):
            order = Order(number=1).save()
            assert Order.objects.count() == 1
        assert Order.objects.count() == 0
        with pytest.raises(TenantError):
            order.delete()
