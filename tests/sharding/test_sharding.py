"""Shard keys of models, and ``datalayer.sharding`` against a simulated router; with
``DATALAYER_TEST_SHARDED_URI``, against a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from fresh_databases import model_registry
from mongoengine.fields import EmbeddedDocumentField, IntField, StringField
from simulated_router import SimulatedRouter

from datalayer import Settings, db, sharding
from datalayer.documents import Document, EmbeddedDocument
from datalayer.errors import AuthenticationError, ConfigurationError, IndexBuildError
from datalayer.indexes import plans_on
from datalayer.sharding import ShardKey

REAL = os.environ.get("DATALAYER_TEST_SHARDED_URI")


class Place(EmbeddedDocument):
    country = StringField(db_field="c")


class Order(Document):
    tenant = StringField(db_field="t")
    number = IntField()
    place = EmbeddedDocumentField(Place)
    meta = {"collection": "orders", "shard_key": ("tenant", "number"), "auto_index": False}


class Visit(Document):
    page = StringField()
    meta = {
        "collection": "visits",
        "shard_key": ("page",),
        "shard_hashed": "page",
        "collation": {"locale": "de"},
        "auto_index": False,
    }


@pytest.fixture(autouse=True)
def only_these_models() -> Iterator[None]:
    with model_registry(Order, Visit):
        yield


@pytest.fixture
def router() -> Iterator[SimulatedRouter]:
    with SimulatedRouter() as router:
        db.database.connect(settings_of(router.uri))
        yield router
        db.disconnect_all()


def settings_of(uri: str) -> Any:
    return Settings(databases={"default": {"uri": uri, "auto_create": False}})["default"]


def key(**fields: Any) -> ShardKey:
    return ShardKey(tuple(fields.items()))


def states() -> dict[str, str]:
    return {each.collection: each.state for each in sharding.look("default")}


def declaring(*, unique: bool = False, **declared: Any) -> Any:
    class Declaring(Document):
        tenant = StringField()
        place = EmbeddedDocumentField(Place)
        email = StringField(unique=unique)
        meta = {"collection": "declaring", "auto_index": False}

    Declaring._meta.update(declared)
    return Declaring


def test_a_fresh_cluster_has_collections_to_shard(router: SimulatedRouter) -> None:
    assert states() == {"orders": "not sharded", "visits": "not sharded"}
    assert router.collections == {}


def test_sync_shards_by_the_names_in_the_database(router: SimulatedRouter) -> None:
    actions = sharding.sync("default")
    assert [(each.collection, each.kind, each.key) for each in actions] == [
        ("orders", "sharded", key(t=1, number=1)),
        ("visits", "sharded", key(page="hashed")),
    ]
    assert router.indexes == [
        ("shop.orders", {"t": 1, "number": 1}),
        ("shop.visits", {"page": "hashed"}),
    ]
    assert states() == {"orders": "as declared", "visits": "as declared"}


def test_a_collection_with_an_order_of_its_own_is_sharded_by_bytes(
    router: SimulatedRouter,
) -> None:
    sharding.sync("default")
    assert router.collections["shop.visits"]["collation"] == {"locale": "simple"}
    assert "collation" not in router.collections["shop.orders"]


def test_sync_does_nothing_the_second_time(router: SimulatedRouter) -> None:
    sharding.sync("default")
    assert sharding.sync("default") == []


def test_a_key_that_lacks_the_last_fields_is_extended(router: SimulatedRouter) -> None:
    router.collections["shop.orders"] = {"key": {"t": 1.0}}
    assert states()["orders"] == "extensible"
    extended = sharding.sync("default")[0]
    assert (extended.kind, extended.key) == ("extended", key(t=1, number=1))
    assert router.collections["shop.orders"] == {"key": {"t": 1, "number": 1}}


@pytest.mark.parametrize("actual", [{"number": 1}, {"t": "hashed"}, {"t": 1, "number": 1, "x": 1}])
def test_a_collection_with_another_key_is_left_as_it_is(
    router: SimulatedRouter, actual: dict[str, Any]
) -> None:
    router.collections["shop.orders"] = {"key": actual}
    assert states()["orders"] == "another key"
    assert [each.collection for each in sharding.sync("default")] == ["visits"]
    assert router.collections["shop.orders"] == {"key": actual}


def test_sharded_collections_that_no_model_declares_are_shown(router: SimulatedRouter) -> None:
    router.collections["shop.old"] = {"key": {"_id": "hashed"}}
    router.collections["shopping.orders"] = {"key": {"_id": 1}}  # another database
    found = {each.collection: each for each in sharding.look("default")}
    assert found.keys() == {"old", "orders", "visits"}
    assert (found["old"].state, found["old"].is_pending) == ("not declared", False)
    assert found["old"].documents == {"shard-a": 3, "shard-b": 4}


@pytest.mark.parametrize("number", [0, 1])
def test_a_privilege_that_is_missing_is_named(router: SimulatedRouter, number: int) -> None:
    router.refused = [{"find": 13}, {"shardCollection": 13}][number]
    with pytest.raises(AuthenticationError, match=["clusterMonitor", "clusterManager"][number]):
        sharding.sync("default")


def test_what_the_router_refuses_is_told_without_its_words(router: SimulatedRouter) -> None:
    router.refused = {"shardCollection": 67}
    with pytest.raises(IndexBuildError, match=r"'orders' by \(t, number\) \(error 67\)") as caught:
        sharding.sync("default")
    assert caught.value.collection == "orders"
    assert caught.value.__cause__ is None


def test_a_unique_index_that_does_not_begin_with_the_key_is_an_obstacle(
    router: SimulatedRouter,
) -> None:
    with model_registry(declaring(unique=True, shard_key=("tenant",))):
        (found,) = sharding.look("default")
        assert "unique index 'email_1' does not begin" in (found.obstacle or "")
        with pytest.raises(ConfigurationError, match="can't be sharded by"):
            sharding.sync("default")
    assert router.collections == {}


@pytest.mark.usefixtures("router")
def test_a_unique_index_that_begins_with_the_key_is_none() -> None:
    with model_registry(declaring(unique=True, shard_key=("email",))):
        (found,) = sharding.look("default")
        assert found.obstacle is None


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"shard_key": ("tenant",)}, key(tenant=1)),
        ({"shard_key": ("id",)}, key(_id=1)),
        ({"shard_key": ("pk",), "shard_hashed": "pk"}, key(_id="hashed")),
        ({"shard_key": ("place__country", "tenant")}, ShardKey((("place.c", 1), ("tenant", 1)))),
        ({}, None),
    ],
)
def test_a_key_is_read_from_the_model(meta: dict[str, Any], expected: ShardKey | None) -> None:
    with model_registry(declaring(**meta)):
        (plan,) = plans_on("default")
        assert sharding.declared_key(plan) == expected


@pytest.mark.parametrize(
    ("meta", "told"),
    [
        ({"shard_key": ("no_such",)}, "no field 'no_such'"),
        ({"shard_key": ("tenant",), "shard_hashed": "email"}, "'email' in shard_hashed"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(meta: dict[str, Any], told: str) -> None:
    with model_registry(declaring(**meta)):
        (plan,) = plans_on("default")
        with pytest.raises(ConfigurationError, match=told):
            sharding.declared_key(plan)


def test_models_of_one_collection_have_to_agree() -> None:
    class Other(Document):
        tenant = StringField()
        meta = {"collection": "declaring", "shard_key": ("tenant",)}

    with model_registry(declaring(shard_key=("email",)), Other):
        (plan,) = plans_on("default")
        with pytest.raises(ConfigurationError, match=r"\(email\) and \(tenant\)"):
            sharding.declared_key(plan)


def test_a_server_without_shards_is_refused(uri: str) -> None:
    db.database.connect(settings_of(uri))
    with pytest.raises(ConfigurationError, match="not the router"):
        sharding.look("default")


def test_a_saved_document_is_looked_for_by_its_shard_key_too(uri: str) -> None:
    db.database.connect(settings_of(uri))
    database = db.database.client[db.database.name]
    order = Order(tenant="a", number=1).save()
    database.command("profile", 2)
    order.place = Place(country="at")
    order.save()
    order.reload()
    order.delete()
    database.command("profile", 0)
    asked = [
        each["command"].get("q") or each["command"].get("filter")
        for each in database["system.profile"].find({"ns": f"{database.name}.orders"})
    ]
    assert asked == [{"_id": order.pk, "t": "a", "number": 1}] * 3


@pytest.mark.skipif(REAL is None, reason="DATALAYER_TEST_SHARDED_URI names no sharded cluster")
def test_a_real_cluster_is_sharded_as_declared() -> None:
    db.database.connect(settings_of(str(REAL)))
    try:
        sharding.sync("default")
        assert states() == {"orders": "as declared", "visits": "as declared"}
        order = Order(tenant="a", number=1).save()
        order.place = Place(country="at")
        order.save()
        assert Order.objects.get(tenant="a", number=1).place.country == "at"
    finally:
        Order.drop_collection()
        Visit.drop_collection()
