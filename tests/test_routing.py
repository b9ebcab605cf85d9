"""Where operations go: other aliases inside a block or by a function, other members for reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import connected, drop, model_registry
from mongoengine import IntField, StringField
from pymongo import MongoClient
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, NotConnectedError, UnavailableError
from datalayer.settings import Settings


class Order(Document):
    number = IntField()
    place = StringField()
    meta = {"indexes": ["number"]}


class Report(Document):
    text = StringField()
    meta = {"read_from": "secondary"}


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Order, Report):
        yield
        db.router(None)


@pytest.fixture
def databases(mongod: EmbeddedMongo, database_name: str) -> Iterator[Settings]:
    aliases = ("default", "archive", "tenant_1", "tenant_2")
    uris = {alias: mongod.uri_for(f"{database_name}_{alias}") for alias in aliases}
    with connected(Settings(databases=uris)) as settings:
        yield settings


def places() -> list[str]:
    return sorted(order.place for order in Order.objects)


# Other aliases


def test_inside_a_block_operations_go_to_the_other_alias(databases: Settings) -> None:
    Order(place="here").save()
    with db.using(default="archive"):
        Order(place="there").save()
        assert places() == ["there"]
        assert Order.objects.count() == 1
        assert [each["place"] for each in Order.objects.aggregate([])] == ["there"]
    assert places() == ["here"]


def test_the_other_alias_gets_the_models_indexes_before_the_first_write(
    databases: Settings,
) -> None:
    with db.using(default="archive"):
        Order(number=1).save()
        assert "number_1" in Order._get_collection().index_information()


def test_blocks_can_be_nested(databases: Settings) -> None:
    with db.using(default="archive"), db.using(default="tenant_1"):
        Order(place="inner").save()
    with db.using(default="tenant_1"):
        assert places() == ["inner"]
    with db.using(default="archive"):
        assert places() == []


def test_other_threads_stay_where_they_are(databases: Settings) -> None:
    with db.using(default="archive"):
        other = threading.Thread(target=lambda: Order(place="other thread").save())
        other.start()
        other.join(60)
        assert places() == []
    assert places() == ["other thread"]


def test_thirty_two_threads_misplace_nothing(databases: Settings) -> None:
    aliases = ("default", "archive", "tenant_1", "tenant_2")
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(25):
                alias = aliases[(number + step) % len(aliases)]
                with db.using(default=alias):
                    Order(number=number * 100 + step, place=alias).save()
                    assert {each.place for each in Order.objects(place__ne=None)} == {alias}
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=[number]) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for alias in aliases:
        with db.using(default=alias):
            assert (set(places()), len(places())) == ({alias}, 200)


def test_an_alias_that_is_not_connected_is_refused_at_once(databases: Settings) -> None:
    with pytest.raises(NotConnectedError), db.using(default="nowhere"):
        pytest.fail("the block must not run")


def test_a_function_can_say_the_alias(databases: Settings) -> None:
    tenant = threading.local()

    @db.router
    def by_tenant(model: Any) -> str | None:
        return getattr(tenant, "alias", None) if model is Order else None

    for alias in ("tenant_1", "tenant_2"):
        tenant.alias = alias
        Order(place=alias).save()
    tenant.alias = None
    assert places() == []
    for alias in ("tenant_1", "tenant_2"):
        tenant.alias = alias
        assert places() == [alias]


def test_a_block_goes_before_the_function(databases: Settings) -> None:
    db.router(lambda model: "tenant_1")
    with db.using(default="archive"):
        Order(place="archive").save()
    assert places() == []


def test_a_transaction_covers_the_alias_that_is_used(databases: Settings) -> None:
    def broken() -> None:
        with db.using(default="archive"), db.transaction("archive"):
            Order(place="there").save()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    with db.using(default="archive"):
        assert places() == []


# Other members


@pytest.fixture
def members(replset: EmbeddedMongo, database_name: str) -> Iterator[EmbeddedMongo]:
    uri = replset.uri_for(database_name) + "&heartbeatFrequencyMS=500"
    settings = Settings(databases={"default": uri})
    with db.connected(settings):
        yield replset
    drop(settings)


def primary_of(members: EmbeddedMongo) -> str:
    return members.hosts[members.primary]


def server_of(model: type[Document]) -> str:
    """Where a read of ``model`` was answered."""
    cursor = model._get_collection().find()
    next(cursor, None)
    assert cursor.address is not None
    host, port = cursor.address
    return f"{host}:{port}"


def test_the_primary_is_read_unless_asked_otherwise(members: EmbeddedMongo) -> None:
    assert server_of(Order) == primary_of(members)


@pytest.mark.parametrize("mode", ["secondary", "secondaryPreferred"])
def test_secondaries_take_the_reads(members: EmbeddedMongo, mode: str) -> None:
    with db.read_from(mode):
        servers = {server_of(Order) for _ in range(10)}
    assert primary_of(members) not in servers
    assert server_of(Order) == primary_of(members)


def test_only_the_aliases_named_are_read_elsewhere(members: EmbeddedMongo) -> None:
    with db.read_from("secondary", "another"):
        assert server_of(Order) == primary_of(members)
    with db.read_from("secondary", "default"):
        assert server_of(Order) != primary_of(members)


def test_a_models_own_preference_holds_without_a_block(members: EmbeddedMongo) -> None:
    assert server_of(Report) != primary_of(members)
    with db.read_from("primary"):
        assert server_of(Report) == primary_of(members)


def test_writes_go_to_the_primary_all_the_same(members: EmbeddedMongo) -> None:
    with db.read_from("secondary"):
        saved = Order(number=1).save()
    assert Order.objects.get().pk == saved.pk


def test_a_session_reads_on_a_secondary_what_it_wrote(members: EmbeddedMongo) -> None:
    with db.session(), db.read_from("secondary"):
        for number in range(30):
            Order(number=number).save()
            assert Order.objects(number=number).count() == 1


def test_a_transaction_reads_the_primary(members: EmbeddedMongo) -> None:
    with db.read_from("secondary"), db.transaction():
        Order(number=1).save()
        assert Order.objects.count() == 1


def test_members_without_the_tags_are_not_read(members: EmbeddedMongo) -> None:
    with (
        pytest.raises(UnavailableError),
        db.deadline(0.5),
        db.read_from("secondary", tags=[{"region": "nowhere"}]),
    ):
        Order.objects.first()


@pytest.mark.slow
def test_members_that_lag_too_far_leave_the_reads_to_the_primary(members: EmbeddedMongo) -> None:
    """The server's fail point ``rsSyncApplyStop`` keeps a secondary from catching up."""
    secondaries = [host for host in members.hosts if host != primary_of(members)]

    def one_is_near() -> bool:
        with db.read_from("secondaryPreferred", max_lag=1):
            return server_of(Order) in secondaries

    def none_is_near_after_a_write() -> bool:
        Order.objects.count()
        with MongoClient[Any](members.uri, w=1) as client:
            client.other.things.insert_one({})
        return not one_is_near()

    wait_until(one_is_near, 30)
    with stopped(secondaries):
        wait_until(none_is_near_after_a_write, 30)
        with db.read_from("secondaryPreferred"):
            assert server_of(Order) in secondaries
    wait_until(one_is_near, 30)


@pytest.mark.parametrize(
    ("mode", "options", "told"),
    [
        ("backup", {}, "secondaryPreferred"),
        ("secondary", {"max_staleness": 5}, "at least 90"),
        ("primary", {"tags": [{"a": "b"}]}, "no tags"),
    ],
)
def test_what_makes_no_sense_is_refused(mode: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told), db.read_from(mode, **options):
        pytest.fail("the block must not run")


class stopped:
    """Secondaries that apply nothing, inside the block."""

    def __init__(self, hosts: list[str]) -> None:
        self._hosts = hosts

    def _set(self, mode: str) -> None:
        for host in self._hosts:
            with MongoClient[Any](host, directConnection=True) as client:
                client.admin.command("configureFailPoint", "rsSyncApplyStop", mode=mode)

    def __enter__(self) -> None:
        self._set("alwaysOn")

    def __exit__(self, *_: object) -> None:
        self._set("off")


def test_routes_of_a_model_without_a_connection_are_told_so() -> None:
    with pytest.raises(NotConnectedError):
        Order.objects.count()
    assert registry.router is None
