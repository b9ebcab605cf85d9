"""Calls of MongoEngine's connection module that older code still makes beside datalayer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mongoengine as me
import pytest
from fresh_databases import drop, model_registry, settings_for
from mongoengine import connection as me_connection

from datalayer import ConfigurationError, NotConnectedError, Settings, db
from datalayer.documents import BusinessDocument
from datalayer.embedded import EmbeddedMongo


class Order(BusinessDocument):
    name = me.StringField(unique=True)


@pytest.fixture
def settings(mongod: EmbeddedMongo) -> Iterator[Settings]:
    made = settings_for(mongod)
    with model_registry(Order):
        db.connect_all(made)
        Order(name="a").save()
        yield made
        db.disconnect_all()
        me.disconnect_all()
        drop(made)


LEAVING: dict[str, Callable[[], Any]] = {
    "disconnect": me.disconnect,
    "disconnect_all": me.disconnect_all,
    "twice": lambda: (me.disconnect(), me.disconnect()),
}


@pytest.mark.parametrize("leave", LEAVING.values(), ids=LEAVING)
def test_after_its_disconnect_the_error_is_datalayers_and_connecting_works_again(
    settings: Settings, leave: Callable[[], Any]
) -> None:
    leave()
    with pytest.raises(NotConnectedError):
        Order.objects.count()
    assert db.connect_all(settings)["default"]["state"] == "connected"
    assert Order.objects.count() == 1
    assert me_connection.get_db().name == db.database.name


def test_its_reconnect_leads_to_the_same(settings: Settings) -> None:
    with pytest.raises(me_connection.ConnectionFailure):
        me_connection.get_connection(reconnect=True)
    with pytest.raises(NotConnectedError):
        Order.objects.count()
    db.connect_all(settings)
    assert me_connection.get_connection() is db.database.client


def test_an_alias_that_other_code_took_in_between_is_not_taken_back(
    settings: Settings, mongod: EmbeddedMongo
) -> None:
    me.disconnect()
    me.connect("other", host=mongod.uri, uuidRepresentation="standard")
    with pytest.raises(ConfigurationError, match=r"direct call of mongoengine\.connect"):
        db.connect_all(settings)
    me.disconnect()
    db.connect_all(settings)
    assert Order.objects.count() == 1


def test_a_registration_over_a_connected_alias_moves_no_document(settings: Settings) -> None:
    me.register_connection("default", db="elsewhere", uuidRepresentation="standard")
    assert Order.objects.count() == 1
    assert db.connect_all(settings)["default"]["state"] == "connected"


def test_a_registration_before_connecting_does_not_matter(mongod: EmbeddedMongo) -> None:
    made = settings_for(mongod)
    me.register_connection("default", db="elsewhere", uuidRepresentation="standard")
    with model_registry(Order):
        db.connect_all(made)
        assert me_connection.get_db().name == db.database.name
        db.disconnect_all()
    drop(made)


def test_a_connection_by_mongoengine_alone_is_told_apart(mongod: EmbeddedMongo) -> None:
    me.connect("app", host=mongod.uri, connect=False, uuidRepresentation="standard")
    try:
        with pytest.raises(NotConnectedError, match=r"in the place of mongoengine\.connect\(\)"):
            Order.objects.count()
    finally:
        me.disconnect()


def test_disconnecting_what_is_not_connected_does_nothing() -> None:
    me.disconnect()
    me.disconnect_all()
    db.disconnect_all()


def test_on_mongomock_its_disconnect_is_mended_by_connecting_too() -> None:
    pytest.importorskip("mongomock")
    made = Settings({"default": "mongomock://shop", "database1": "mongomock://events"})
    with model_registry(Order):
        db.connect_all(made)
        me.disconnect()
        db.connect_all(made)
        Order(name="a").save()
        assert me_connection.get_db().name == "shop"
