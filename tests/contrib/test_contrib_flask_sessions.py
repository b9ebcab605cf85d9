"""Server-side sessions by Flask-Session, which wants a client when it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from flask.cli import routes_command
from flask.sessions import SecureCookieSessionInterface
from flask_applications import NOWHERE, application, away, clean_environment

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer, LazySessionInterface
from datalayer.errors import ConfigurationError

flask_session = pytest.importorskip("flask_session")
MongoDBSessionInterface: Any = pytest.importorskip("flask_session.mongodb").MongoDBSessionInterface

__all__ = ["clean_environment"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:flask_session")


def counting(uri: str | None, **config: Any) -> Flask:
    """An application that counts the visits of a session."""
    app = application(uri, SECRET_KEY="test", **config)

    @app.get("/visits")
    def visits() -> dict[str, int]:
        session["visits"] = session.get("visits", 0) + 1
        return {"visits": session["visits"]}

    return app


def sessions(app: Flask) -> Any:
    return MongoDBSessionInterface(
        app, client=db.database.client, db=db.database.name, collection="sessions"
    )


def lazily(app: Flask) -> None:
    DataLayer(app)
    app.session_interface = LazySessionInterface(sessions)


def at_once(app: Flask) -> None:
    datalayer = DataLayer(app)
    datalayer.connect_now(app)
    app.config.update(
        SESSION_TYPE="mongodb",
        SESSION_MONGODB=db.database.client,
        SESSION_MONGODB_DB=db.database.name,
    )
    flask_session.Session(app)


@pytest.mark.parametrize("configure", [lazily, at_once], ids=["lazily", "at once"])
def test_sessions_are_kept_in_the_business_database(
    uri: str, configure: Callable[[Flask], None]
) -> None:
    app = counting(uri)
    configure(app)
    with app.test_client() as ada, app.test_client() as bob:
        assert [ada.get("/visits").json, ada.get("/visits").json] == [
            {"visits": 1},
            {"visits": 2},
        ]
        assert bob.get("/visits").json == {"visits": 1}
    stored = db.database.client[db.database.name]["sessions"]
    assert stored.count_documents({}) == 2
    assert "expiration_1" in stored.index_information()


def test_making_the_application_connects_to_nothing(uri: str) -> None:
    app = counting(NOWHERE)
    lazily(app)
    assert registry.settings is None
    assert "visits" in app.test_cli_runner().invoke(routes_command).output
    assert registry.settings is None
    app.config["MONGODB_URI"] = uri
    assert app.test_client().get("/visits").json == {"visits": 1}


def test_sessions_live_on_after_connecting_anew(uri: str) -> None:
    app = counting(uri)
    lazily(app)
    client = app.test_client()
    assert client.get("/visits").json == {"visits": 1}
    db.disconnect_all()
    assert client.get("/visits").json == {"visits": 2}


def test_the_interface_is_made_once_for_a_client(uri: str) -> None:
    made: list[Flask] = []

    def make(app: Flask) -> Any:
        made.append(app)
        return SecureCookieSessionInterface()

    app = counting(uri)
    DataLayer(app)
    app.session_interface = LazySessionInterface(make)
    client = app.test_client()
    assert [client.get("/visits").json for _ in range(3)][-1] == {"visits": 3}
    assert made == [app]


def test_what_the_interface_has_besides_is_there(uri: str) -> None:
    app = counting(uri)
    lazily(app)

    @app.get("/anew")
    def anew() -> dict[str, str]:
        before = session.sid  # type: ignore[attr-defined]
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return {"before": before, "after": session.sid}  # type: ignore[attr-defined]

    client = app.test_client()
    client.get("/visits")
    ids = client.get("/anew").json
    assert ids is not None
    assert ids["before"] != ids["after"]
    assert client.get("/visits").json == {"visits": 2}


def test_without_the_extension_the_error_says_what_is_missing() -> None:
    app = counting(NOWHERE)
    app.testing = True
    app.session_interface = LazySessionInterface(sessions)
    with pytest.raises(ConfigurationError, match=r"has no DataLayer; call init_app\(app\)"):
        app.test_client().get("/visits")


def test_while_the_database_is_away_the_request_fails_and_the_next_tries_again(uri: str) -> None:
    app = counting(NOWHERE)
    away(app)
    lazily(app)
    client = app.test_client()
    assert client.get("/visits").status_code == 500
    app.config["MONGODB_URI"] = uri
    assert client.get("/visits").json == {"visits": 1}
