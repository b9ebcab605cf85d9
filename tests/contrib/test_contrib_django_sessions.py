"""Django's sessions in MongoDB, through its middleware and as its own backends behave."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from bson import Decimal128, ObjectId
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core.management import call_command
from django.http import HttpRequest, JsonResponse
from django.test import Client, override_settings
from django.urls import path
from django_in_process import django_site
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.django import connect
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError

ENGINE = "datalayer.contrib.django.sessions"
CONNECT = "datalayer.contrib.django.middleware.ConnectMiddleware"
TEMPORARY = "datalayer.contrib.django.middleware.TemporaryErrorsMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def count(request: HttpRequest) -> JsonResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def log_out_elsewhere(request: HttpRequest) -> JsonResponse:
    """As another request would, while this one is being answered."""
    request.session["visits"] = 7
    store().objects(pk=request.session.session_key).delete()
    return JsonResponse({})


def flush(request: HttpRequest) -> JsonResponse:
    request.session.flush()
    return JsonResponse({})


def silent(request: HttpRequest) -> JsonResponse:
    return JsonResponse({})


urlpatterns = [
    path("count", count),
    path("elsewhere", log_out_elsewhere),
    path("flush", flush),
    path("silent", silent),
]

SITE = {
    "SESSION_ENGINE": ENGINE,
    "ROOT_URLCONF": __name__,
    "MIDDLEWARE": [CONNECT, SESSIONS, TEMPORARY],
}


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[Client]:
    with django_site(DATALAYER=uris, **SITE):
        connect()
        yield Client()


def store() -> Any:
    from datalayer.contrib.django.sessions import Session

    return Session


def fresh(key: str | None = None) -> Any:
    from datalayer.contrib.django.sessions import SessionStore

    return SessionStore(key)


def stored() -> list[dict[str, Any]]:
    return list(registry.connection("database1").database["django_sessions"].find())


def test_a_session_is_kept_from_one_request_to_the_next(site: Client) -> None:
    assert [site.get("/count").json()["visits"] for _ in range(3)] == [1, 2, 3]
    assert [each["_id"] for each in stored()] == [site.cookies["sessionid"].value]


def test_a_request_that_does_not_look_at_its_session_asks_no_database(site: Client) -> None:
    site.get("/count")
    db.disconnect_all()
    with override_settings(MIDDLEWARE=[SESSIONS]):
        assert site.get("/silent").status_code == 200


def test_a_flushed_session_is_gone_with_its_cookie(site: Client) -> None:
    site.get("/count")
    answer = site.get("/flush")
    assert answer.cookies["sessionid"].value == ""
    assert stored() == []


def test_a_session_deleted_meanwhile_is_not_brought_back(site: Client) -> None:
    site.get("/count")
    assert site.get("/elsewhere").status_code == 400  # Django's SessionInterrupted
    assert stored() == []


def test_an_unknown_key_begins_a_session_under_another(site: Client) -> None:
    site.cookies["sessionid"] = planted = "a" * 32
    site.get("/count")
    assert [each["_id"] == planted for each in stored()] == [False]


@pytest.mark.parametrize("key", ['{"$ne": null}', "ä" * 40, "x" * 2000])
def test_whatever_a_cookie_holds_is_a_key_and_nothing_else(site: Client, key: str) -> None:
    site.get("/count")
    other = fresh(key)
    assert other.load() == {}
    assert other.session_key is None


def test_an_expired_session_is_as_none_before_the_server_deletes_it(site: Client) -> None:
    session = fresh()
    session["visits"] = 1
    session.set_expiry(datetime.now(UTC) - timedelta(seconds=1))
    session.save()
    assert fresh(session.session_key).load() == {}
    assert fresh(session.session_key).get("visits") is None


def test_the_server_deletes_what_has_expired(site: Client) -> None:
    site.get("/count")
    indexes = registry.connection("database1").database["django_sessions"].index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


def test_the_server_keeps_it_as_long_as_the_cookie(site: Client) -> None:
    session = fresh()
    session.set_expiry(100)
    session.save()
    left = stored()[0]["expires_at"] - datetime.now(stored()[0]["expires_at"].tzinfo)
    assert timedelta(seconds=60) < left <= timedelta(seconds=100)


def test_clearsessions_deletes_what_has_expired_and_leaves_the_rest(site: Client) -> None:
    site.get("/count")
    expired = fresh()
    expired.set_expiry(datetime.now(UTC) - timedelta(seconds=1))
    expired.save()
    assert len(stored()) == 2
    call_command("clearsessions")
    assert [each["_id"] for each in stored()] == [site.cookies["sessionid"].value]


def test_clearsessions_connects_by_itself(uris: dict[str, str]) -> None:
    with django_site(DATALAYER=uris, **SITE):
        call_command("clearsessions")
        assert "database1" in registry.aliases()


def test_a_key_that_is_taken_is_not_overwritten(site: Client) -> None:
    first = fresh()
    first["name"] = "Ada"
    first.save()
    second = fresh(first.session_key)
    with pytest.raises(CreateError):
        second.save(must_create=True)
    assert fresh(first.session_key)["name"] == "Ada"


def test_saving_what_was_never_created_is_an_update_error(site: Client) -> None:
    session = fresh("k" * 32)
    session._session_cache = {"name": "Ada"}
    with pytest.raises(UpdateError):
        session.save()
    assert stored() == []


def test_a_new_key_keeps_what_the_session_holds(site: Client) -> None:
    session = fresh()
    session["name"] = "Ada"
    session.save()
    old = session.session_key
    session.cycle_key()
    session.save()
    assert [each["_id"] for each in stored()] == [session.session_key]
    assert session.session_key != old
    assert fresh(session.session_key)["name"] == "Ada"


def test_what_was_tampered_with_in_the_database_counts_for_nothing(site: Client) -> None:
    site.get("/count")
    store().objects.update(data="eyJ2aXNpdHMiOjk5fQ:nobody:signed")
    assert site.get("/count").json() == {"visits": 1}


def test_neither_keys_nor_contents_are_shown_as_json(site: Client) -> None:
    site.get("/count")
    assert set(store().objects.first().to_mongo()) == {"_id", "data", "expires_at"}
    assert site.cookies["sessionid"].value not in store().objects.to_json()
    assert "data" not in store().objects.to_json()


def test_the_asynchronous_methods_do_the_same(site: Client) -> None:
    async def use() -> Any:
        session = fresh()
        await session.aset("name", "Ada")
        await session.asave()
        return await fresh(session.session_key).aget("name")

    assert asyncio.run(use()) == "Ada"


def test_the_bson_serializer_keeps_what_mongodb_has(site: Client) -> None:
    held = {
        "id": ObjectId(),
        "moment": datetime(2024, 1, 31, 12, tzinfo=UTC),
        "uuid": UUID(int=7),
        "amount": Decimal128(Decimal("12.50")),
        "text": "ä",
    }
    with override_settings(SESSION_SERIALIZER=f"{ENGINE}.BSONSerializer"):
        session = fresh()
        session.update(held)
        session.save()
        assert dict(fresh(session.session_key).items()) == held


def test_another_database_and_collection_can_be_named(site: Client) -> None:
    from datalayer.contrib.django.sessions import documents

    named = {"DATALAYER_SESSION_ALIAS": "default", "DATALAYER_SESSION_COLLECTION": "visits"}
    assert documents.__file__ is not None
    spec = importlib.util.spec_from_file_location("sessions_elsewhere", documents.__file__)
    assert spec is not None
    assert spec.loader is not None
    again: Any = importlib.util.module_from_spec(spec)
    with override_settings(**named), model_registry():
        spec.loader.exec_module(again)
    elsewhere = type(fresh())
    session = type("SessionStore", (elsewhere,), {"document": again.Session})()
    session["name"] = "Ada"
    session.save()
    assert registry.connection().database["visits"].count_documents({}) == 1
    assert stored() == []


def test_a_database_that_hangs_costs_no_more_than_the_deadline(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        given = {
            "MONGODB_URI": mongod.uri_for(database_name),
            "DATABASE1_URI": proxy.uri_for(f"{database_name}_1"),
        }
        with django_site(DATALAYER=given, **SITE):
            client = Client(raise_request_exception=False)
            client.get("/count")
            session = fresh(client.cookies["sessionid"].value)
            session.timeout_seconds = 0.2
            proxy.hang()
            with pytest.raises(DataLayerError):
                session.load()
            db.disconnect_all()
