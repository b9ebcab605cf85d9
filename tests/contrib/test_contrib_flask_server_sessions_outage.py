"""Sessions in the analytics database while that is away: pages go on, and nothing is pretended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from flask import Flask, Response, session
from flask.testing import FlaskClient
from flask_applications import Note, application, clean_environment
from waiting import wait_until

from datalayer import db
from datalayer.contrib.flask import (
    DataLayer,
    ServerSessionInterface,
    health_blueprint,
    regenerate_session,
    remembered,
)
from datalayer.embedded import EmbeddedMongo

__all__ = ["clean_environment"]


@pytest.fixture
def proxy(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy
        proxy.restore()
        db.disconnect_all()


@pytest.fixture
def shop(proxy: FaultyProxy, uri: str, database_name: str) -> Flask:
    """Its sessions are behind the proxy, its notes are not."""
    app = application(uri, DATABASE1_URI=proxy.uri_for(f"{database_name}_1"))
    DataLayer(app, handle_errors=True)
    app.session_interface = ServerSessionInterface(timeout_seconds=20)

    @app.get("/")
    def home() -> dict[str, Any]:
        return {"user": session.get("user"), "notes": Note.objects.count()}

    @app.post("/sign-in")
    def sign_in() -> dict[str, Any]:
        session["user"] = "ada"
        return {}

    @app.post("/renew")
    def renew() -> dict[str, Any]:
        regenerate_session()
        return {}

    @app.post("/sign-out")
    def sign_out() -> dict[str, Any]:
        session.clear()
        return {}

    @app.post("/take-out")
    def take_out() -> dict[str, Any]:
        session.pop("user", None)
        return {}

    @app.post("/late")
    def late() -> dict[str, Any]:
        session["late"] = True
        hang(app, proxy)
        return {}

    @app.get("/late")
    def read_and_late() -> dict[str, Any]:
        found = session["user"]
        hang(app, proxy)
        return {"user": found}

    return app


def hang(app: Flask, proxy: FaultyProxy) -> None:
    """The sessions' database hangs, and nobody waits long for it; until then it has its time."""
    app.session_interface._store._timeout_seconds = 0.2  # type: ignore[attr-defined]
    proxy.hang()


@pytest.fixture
def ada(shop: Flask) -> FlaskClient:
    client = shop.test_client()
    assert client.post("/sign-in").status_code == 200
    return client


def test_a_page_is_made_without_the_session_which_is_there_again_afterwards(
    shop: Flask, ada: FlaskClient, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    hang(shop, proxy)
    answer = ada.get("/")
    assert (answer.status_code, answer.json) == (200, {"user": None, "notes": 0})
    assert "Set-Cookie" not in answer.headers
    assert "a session is empty, as database1 is away" in caplog.text
    proxy.restore()
    wait_until(lambda: ada.get("/").json == {"user": "ada", "notes": 0})


@pytest.mark.parametrize("path", ["/sign-in", "/renew", "/sign-out", "/take-out"])
def test_nobody_is_told_that_a_session_was_changed_that_was_not(
    shop: Flask, ada: FlaskClient, proxy: FaultyProxy, path: str
) -> None:
    hang(shop, proxy)
    answer = ada.post(path)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    proxy.restore()
    wait_until(lambda: ada.get("/").json == {"user": "ada", "notes": 0})


def test_a_new_visitor_can_not_sign_in_where_the_database_is_known_to_be_away(
    shop: Flask, ada: FlaskClient, proxy: FaultyProxy
) -> None:
    proxy.refuse()
    wait_until(lambda: not db.database1.is_connected)
    bob = shop.test_client()
    assert bob.get("/").json == {"user": None, "notes": 0}
    assert bob.post("/sign-in").status_code == 503


def test_a_write_that_fails_after_the_page_was_made_is_an_error_and_is_tried_once(
    ada: FlaskClient, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    # Not 503, after which a client may send the same again: what the page did is done.
    assert ada.post("/late").status_code == 500
    assert "Request finalizing failed" not in caplog.text
    proxy.restore()
    wait_until(lambda: ada.get("/").json == {"user": "ada", "notes": 0})


def test_a_session_that_could_not_be_made_to_live_on_breaks_no_page(
    ada: FlaskClient, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    update = [{"$set": {"expires_at": {"$add": ["$expires_at", -12 * 3_600_000]}}}]
    db.database1.client[db.database1.name]["sessions"].update_many({}, update)
    assert ada.get("/late").json == {"user": "ada"}
    assert "a session was not made to live on" in caplog.text


def test_an_admin_sees_the_status_page_until_he_signs_out(shop: Flask, proxy: FaultyProxy) -> None:
    shop.config["SECRET_KEY"] = "of the tests"
    is_admin = remembered(lambda: session.get("user"))(lambda: session.get("user") == "ada")
    shop.register_blueprint(health_blueprint(authorise=is_admin, timeout_seconds=0.5))
    ada, stranger = shop.test_client(), shop.test_client()
    for client in (ada, stranger):
        client.post("/sign-in")
        assert client.get("/status").status_code == 200
    stranger.post("/sign-out")
    assert stranger.get_cookie("datalayer._lambda_") is not None
    hang(shop, proxy)
    assert [client.get("/status").status_code for client in (ada, stranger)] == [200, 403]
    stolen = ada.get_cookie("datalayer._lambda_")
    assert stolen is not None
    stranger.set_cookie("datalayer._lambda_", stolen.value)
    stranger.set_cookie("session", "A" * 43)
    assert stranger.get("/status").status_code == 403


def test_sessions_in_a_required_database_fail_as_its_queries_do(
    proxy: FaultyProxy, uri: str, database_name: str
) -> None:
    sessions = {"DATABASE1_URI": proxy.uri_for(f"{database_name}_1"), "DATABASE1_REQUIRED": True}
    app = application(uri, **sessions, DATABASE1_OPERATION_TIMEOUT_MS=2000)
    DataLayer(app, handle_errors=True)
    app.session_interface = ServerSessionInterface()

    @app.get("/")
    def home() -> dict[str, Any]:
        return {"user": session.get("user")}

    @app.after_request
    def look(response: Response) -> Response:
        response.headers["X-Signed-In"] = str(bool(session))
        return response

    client = app.test_client()
    with client.session_transaction() as opened:
        opened["user"] = "ada"
    assert client.get("/").json == {"user": "ada"}
    proxy.hang()
    answer = client.get("/")
    assert (answer.status_code, answer.headers["X-Signed-In"]) == (503, "False")
