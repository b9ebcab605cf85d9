"""Sessions in the analytics database: what a visitor finds again, and who else may not."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from flask import Flask, get_flashed_messages, request, session
from flask.testing import FlaskClient
from flask_applications import NOWHERE, application, away, clean_environment
from markupsafe import Markup
from pymongo import monitoring

from datalayer import db, indexes
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer, ServerSessionInterface, regenerate_session
from datalayer.documents import utc_now
from datalayer.errors import ConfigurationError

__all__ = ["clean_environment"]


@pytest.fixture
def shop(uris: dict[str, str]) -> Flask:
    return shop_with_sessions(uris)


def shop_with_sessions(uris: dict[str, str], **options: Any) -> Flask:
    app = application(None, SECRET_KEY="test", **uris)
    DataLayer(app, handle_errors=True)
    # No test here is about an outage, which a busy machine's pauses of a second would be.
    app.session_interface = ServerSessionInterface(**{"timeout_seconds": 20, **options})

    @app.post("/set")
    def put() -> dict[str, Any]:
        session.update(request.get_json())
        return dict(session)

    @app.post("/permanent")
    def permanent() -> dict[str, Any]:
        session.permanent = True
        return {}

    @app.get("/get")
    def get() -> dict[str, Any]:
        return dict(session)

    @app.post("/append")
    def append() -> dict[str, Any]:
        session["list"].append(request.get_json())
        return dict(session)

    @app.post("/sign-in")
    def sign_in() -> dict[str, Any]:
        regenerate_session()
        session["user"] = "ada"
        return {}

    @app.post("/sign-out")
    def sign_out() -> dict[str, Any]:
        session.clear()
        return {}

    @app.post("/take-out")
    def take_out() -> dict[str, Any]:
        session.pop(request.get_json(), None)
        return dict(session)

    @app.get("/plain")
    def plain() -> str:
        return "no session"

    return app


@pytest.fixture
def client(shop: Flask) -> FlaskClient:
    return shop.test_client()


def stored() -> list[dict[str, Any]]:
    return list(db.database1.client[db.database1.name]["sessions"].find())


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    assert cookie is not None
    return cookie.value


def aged(seconds: float) -> None:
    """All sessions were last used so long ago."""
    collection = db.database1.client[db.database1.name]["sessions"]
    shift = [{"$set": {"expires_at": {"$add": ["$expires_at", -int(seconds * 1000)]}}}]
    collection.update_many({}, shift)


class Commands(monitoring.CommandListener):
    """Which commands about sessions the server was sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command.get(event.command_name) == "sessions":
            self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...
    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture
def commands() -> Iterator[list[str]]:
    listener = Commands()
    listeners = monitoring._LISTENERS.command_listeners
    listeners.append(listener)
    yield listener.names
    listeners.remove(listener)


def test_a_session_is_kept_in_the_analytics_database(client: FlaskClient) -> None:
    client.post("/set", json={"visits": 1})
    assert client.get("/get").json == {"visits": 1}
    (found,) = stored()
    assert found["data"] == {"visits": 1}
    assert db.database.client[db.database.name].list_collection_names() == ["note"]


def test_two_visitors_have_two_sessions(shop: Flask) -> None:
    ada, bob = shop.test_client(), shop.test_client()
    ada.post("/set", json={"name": "ada"})
    bob.post("/set", json={"name": "bob"})
    assert [ada.get("/get").json, bob.get("/get").json] == [{"name": "ada"}, {"name": "bob"}]


def test_the_browser_has_256_random_bits_and_the_database_their_hash(client: FlaskClient) -> None:
    client.post("/set", json={"visits": 1})
    identifier = cookie_of(client)
    assert len(identifier) == 43
    (found,) = stored()
    assert found["_id"] == hashlib.sha256(identifier.encode()).digest()
    assert identifier not in str(found)


def test_an_identifier_of_the_visitor_s_own_is_not_taken(client: FlaskClient) -> None:
    client.set_cookie("session", "A" * 43)
    client.post("/set", json={"visits": 1})
    assert cookie_of(client) != "A" * 43


def test_what_can_be_no_identifier_is_not_asked_for(
    client: FlaskClient, commands: list[str]
) -> None:
    client.set_cookie("session", "eyJhIjoxfQ.Zabc.signed-by-flask")
    assert client.get("/get").json == {}
    assert commands.count("find") == 0


def test_signing_in_changes_the_identifier_and_ends_the_one_before(shop: Flask) -> None:
    client, thief = shop.test_client(), shop.test_client()
    client.post("/set", json={"cart": [1]})
    before = cookie_of(client)
    client.post("/sign-in")
    assert cookie_of(client) != before
    assert client.get("/get").json == {"cart": [1], "user": "ada"}
    thief.set_cookie("session", before)
    assert thief.get("/get").json == {}
    assert len(stored()) == 1


def test_signing_out_deletes_the_session_and_the_cookie(client: FlaskClient) -> None:
    client.post("/set", json={"user": "ada"})
    assert client.post("/sign-out").status_code == 200
    assert stored() == []
    assert client.get_cookie("session") is None


def test_a_request_does_not_bring_back_a_session_that_another_has_ended(
    shop: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    client = shop.test_client()

    @shop.post("/slow")
    def slow() -> dict[str, Any]:
        session["seen"] = True
        other = shop.test_client()
        other.set_cookie("session", cookie_of(client))
        other.post("/sign-out")
        return {}

    client.post("/set", json={"user": "ada"})
    client.post("/slow")
    assert stored() == []
    assert "was ended while a request had it" in caplog.text


def test_two_requests_that_change_different_keys_lose_neither(shop: Flask) -> None:
    client = shop.test_client()

    @shop.post("/slow")
    def slow() -> dict[str, Any]:
        session["mine"] = 1
        other = shop.test_client()
        other.set_cookie("session", cookie_of(client))
        other.post("/set", json={"theirs": 2})
        other.post("/take-out", json="old")
        return {}

    client.post("/set", json={"user": "ada", "old": 1})
    client.post("/slow")
    assert client.get("/get").json == {"user": "ada", "mine": 1, "theirs": 2}


def test_a_change_inside_a_list_is_kept(client: FlaskClient) -> None:
    client.post("/set", json={"list": [1]})
    client.post("/append", json=2)
    assert client.get("/get").json == {"list": [1, 2]}


def test_a_value_of_another_type_that_equals_the_old_one_is_written(client: FlaskClient) -> None:
    client.post("/set", json={"value": 1})
    client.post("/set", json={"value": True})
    assert client.get("/get").json == {"value": True}


VALUES = {
    "id": ObjectId(),
    "at": datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    "bytes": b"\0\1",
    "uuid": uuid.uuid4(),
    "tuple": (1, [("nested", 2)]),
    "markup": Markup("<b>bold</b>"),
    "": "no name",
    "a.b": 1,
    "$set": {"$set": 1, "c.d": {" t": [1]}, "": {"%": 2}},
    "100%": None,
    "%2E": 2,
}


@pytest.mark.parametrize("key", VALUES)
def test_what_was_put_in_comes_out(shop: Flask, key: str) -> None:
    client = shop.test_client()
    with client.session_transaction() as first:
        first["other"] = 1
    with client.session_transaction() as second:
        second[key] = VALUES[key]
    with client.session_transaction() as third:
        assert third[key] == VALUES[key]
        assert type(third[key]) is type(VALUES[key])


def test_flashed_messages_keep_their_category_and_mark_up(shop: Flask) -> None:
    client = shop.test_client()

    @shop.get("/messages")
    def messages() -> dict[str, Any]:
        found = get_flashed_messages(with_categories=True)
        return {"found": [[category, str(escape_of(text))] for category, text in found]}

    def escape_of(text: Any) -> Markup:
        return Markup("<p>{}</p>").format(text)

    with client.session_transaction() as flashing:
        flashing["_flashes"] = [("error", Markup("<b>no</b>"))]
    assert client.get("/messages").json == {"found": [["error", "<p><b>no</b></p>"]]}
    assert client.get("/messages").json == {"found": []}


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**70, {1: "number"}, {"a\0b": 1}])
def test_what_can_not_be_kept_is_refused_without_being_shown(shop: Flask, value: object) -> None:
    client = shop.test_client()
    with (
        pytest.raises(TypeError, match="can't keep what stands under 'what'") as caught,
        client.session_transaction() as opened,
    ):
        opened["what"] = value
    assert str(value) not in str(caught.value)


def test_a_session_that_is_too_large_is_refused(uris: dict[str, str]) -> None:
    client = shop_with_sessions(uris, max_bytes=1000).test_client()
    assert client.post("/set", json={"text": "x" * 900}).status_code == 200
    assert client.post("/set", json={"more": "x" * 900}).status_code == 500
    assert client.get("/get").json == {"text": "x" * 900}


def test_a_request_that_looks_at_no_session_asks_nothing(
    client: FlaskClient, commands: list[str]
) -> None:
    client.post("/set", json={"visits": 1})
    commands.clear()
    answer = client.get("/plain")
    assert commands == []
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers


def test_reading_is_one_question_and_no_write(client: FlaskClient, commands: list[str]) -> None:
    client.post("/set", json={"visits": 1})
    commands.clear()
    answer = client.get("/get")
    assert commands == ["find"]
    assert answer.headers["Vary"] == "Cookie"
    assert "Set-Cookie" not in answer.headers


def test_a_session_that_is_used_lives_on_without_a_write_for_each_request(
    client: FlaskClient, commands: list[str]
) -> None:
    client.post("/set", json={"visits": 1})
    client.post("/permanent")
    aged(timedelta(days=4).total_seconds())
    commands.clear()
    answers = [client.get("/get") for _ in range(3)]
    assert commands == ["find", "update", "find", "find"]
    assert ["Set-Cookie" in answer.headers for answer in answers] == [True, False, False]
    (found,) = stored()
    left = found["expires_at"].replace(tzinfo=UTC) - utc_now()
    assert timedelta(days=30, hours=23) < left <= timedelta(days=31)


def test_where_flask_is_told_not_to_refresh_a_session_ends_with_its_first_cookie(
    shop: Flask, commands: list[str]
) -> None:
    shop.config["SESSION_REFRESH_EACH_REQUEST"] = False
    client = shop.test_client()
    client.post("/permanent")
    aged(timedelta(days=4).total_seconds())
    commands.clear()
    client.get("/get")
    assert commands == ["find"]


@pytest.mark.parametrize(
    ("path", "lifetime"), [("/set", timedelta(days=1)), ("/permanent", timedelta(days=31))]
)
def test_an_expired_session_is_gone_before_the_server_removes_it(
    client: FlaskClient, path: str, lifetime: timedelta
) -> None:
    client.post(path, json={"visits": 1})
    before = cookie_of(client)
    aged(lifetime.total_seconds())
    assert client.get("/get").json == {}
    client.post("/set", json={"visits": 2})
    assert cookie_of(client) != before
    assert client.get("/get").json == {"visits": 2}


def test_the_cookie_of_a_permanent_session_says_when_it_ends(client: FlaskClient) -> None:
    assert "Expires" not in client.post("/set", json={"a": 1}).headers["Set-Cookie"]
    assert "Expires" in client.post("/permanent").headers["Set-Cookie"]


def test_the_cookie_has_the_attributes_of_the_configuration(shop: Flask) -> None:
    shop.config.update(
        SESSION_COOKIE_NAME="shop",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_PARTITIONED=True,
    )
    sent = shop.test_client().post("/set", json={"a": 1}).headers["Set-Cookie"]
    name, *attributes = sent.split("; ")
    assert name.startswith("shop=")
    assert {*attributes} == {"Secure", "HttpOnly", "SameSite=Strict", "Path=/", "Partitioned"}


def test_the_index_that_removes_expired_sessions_is_built_when_connecting(shop: Flask) -> None:
    shop.test_client().get("/plain")
    found = db.database1.client[db.database1.name]["sessions"].index_information()
    assert found["expires_at_1"]["expireAfterSeconds"] == 0
    assert indexes.diff("database1") == []


def test_another_alias_and_collection_can_be_chosen(uris: dict[str, str]) -> None:
    app = shop_with_sessions(uris, alias="default", collection="visitors")
    app.test_client().post("/set", json={"a": 1})
    assert db.database.client[db.database.name]["visitors"].count_documents({}) == 1


def test_a_request_s_transaction_and_session_are_none_of_the_session_s(
    uris: dict[str, str],
) -> None:
    app = application(None, **uris)
    DataLayer(app, session=True)
    app.session_interface = ServerSessionInterface(timeout_seconds=20)

    @app.post("/visit")
    def visit() -> dict[str, int]:
        with db.deadline(5), db.using({"database1": "default"}), db.transaction():
            session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    client = app.test_client()
    assert [client.post("/visit").json for _ in range(2)] == [{"visits": 1}, {"visits": 2}]


@pytest.mark.parametrize("name", ["max_bytes", "timeout_seconds"])
def test_numbers_must_be_above_0(name: str) -> None:
    with pytest.raises(ConfigurationError, match="must be more than 0"):
        ServerSessionInterface(**{name: 0})  # type: ignore[arg-type]


def test_making_the_application_connects_to_nothing(uris: dict[str, str]) -> None:
    shop_with_sessions(uris)
    assert registry.settings is None


def test_without_the_extension_the_error_says_what_is_missing() -> None:
    app = application(NOWHERE)
    app.testing = True
    app.session_interface = ServerSessionInterface()
    with pytest.raises(ConfigurationError, match=r"has no DataLayer; call init_app\(app\)"):
        app.test_client().get("/count")


def test_regenerating_needs_these_sessions(uris: dict[str, str]) -> None:
    app = application(None, SECRET_KEY="test", **uris)
    with (
        app.test_request_context(),
        pytest.raises(ConfigurationError, match=r"needs app\.session_interface"),
    ):
        regenerate_session()


def test_a_session_shows_nothing_of_itself(client: FlaskClient) -> None:
    client.post("/set", json={"secret": "canary"})
    with client.session_transaction() as opened:
        assert "canary" not in repr(opened)
        assert cookie_of(client) not in repr(opened)


def test_while_the_database_was_never_there_pages_answer_and_nothing_is_kept(
    uris: dict[str, str],
) -> None:
    app = shop_with_sessions({**uris, "DATABASE1_URI": NOWHERE})
    away(app)
    client = app.test_client()
    client.set_cookie("session", "A" * 43)
    assert client.get("/get").json == {}
    assert client.post("/set", json={"a": 1}).status_code == 503
    assert cookie_of(client) == "A" * 43
