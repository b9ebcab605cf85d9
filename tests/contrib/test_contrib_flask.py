"""The Flask extension in real applications on a real server: when it connects, what several
applications share, sessions and errors."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from credentials import APP_USER
from flask import Flask, Response, stream_with_context
from flask_applications import NOWHERE, Note, application, away, clean_environment, raising

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer, needs_no_database
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    DeadlineExceededError,
    NotConnectedError,
    OutcomeUnknownError,
    PoolExhaustedError,
    StaleDocumentError,
    UnavailableError,
)
from datalayer.service.events import Event
from datalayer.transactions import bound

__all__ = ["clean_environment"]


# When it connects


def test_init_app_connects_to_nothing(uri: str) -> None:
    DataLayer(application(uri))
    assert registry.aliases() == []


def test_the_first_request_connects(uri: str) -> None:
    app = application(uri)
    DataLayer(app)
    assert app.test_client().get("/count").json == {"notes": 0}
    assert db.database.is_connected


def test_a_factory_may_configure_after_init_app(uri: str) -> None:
    datalayer = DataLayer()
    app = application(None)
    datalayer.init_app(app)
    app.config["MONGODB_URI"] = uri
    assert app.test_client().get("/count").status_code == 200


def test_requests_that_come_first_at_the_same_time_connect_once(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = application(uri)
    DataLayer(app)
    caplog.set_level(logging.INFO, "datalayer.service")
    start, codes = threading.Barrier(8), []

    def request() -> None:
        start.wait(60)
        codes.append(app.test_client().get("/count").status_code)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    said = [record.getMessage() for record in caplog.records]
    assert codes == [200] * 8
    assert len([line for line in said if line.startswith("connected default")]) == 1


def test_a_url_processor_and_a_before_request_function_find_it_connected(uri: str) -> None:
    app, counts = application(uri), []
    app.before_request(lambda: counts.append(Note.objects.count()))
    app.url_value_preprocessor(lambda endpoint, values: counts.append(Note.objects.count()))
    DataLayer(app)
    app.test_client().get("/count")
    assert counts == [0, 0]


def test_connecting_now_is_done_in_init_app(uri: str) -> None:
    DataLayer(application(uri), connect="now")
    assert db.database.is_connected


def test_connecting_now_raises_in_init_app_when_the_server_is_away() -> None:
    app = application(NOWHERE)
    away(app)
    with pytest.raises(ConnectError):
        DataLayer(app, connect="now")


def test_connecting_now_waits_for_the_first_request_under_the_flask_command(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    app = application(uri)
    DataLayer(app, connect="now")
    assert registry.aliases() == []
    assert app.test_client().get("/count").status_code == 200


def test_connecting_never_leaves_it_to_the_application(uri: str) -> None:
    app = application(uri, TESTING=True)
    DataLayer(app, connect="never")
    with pytest.raises(NotConnectedError):
        app.test_client().get("/count")


def test_an_unknown_way_to_connect_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='"first_request", "now" or "never"'):
        DataLayer(connect="later")  # type: ignore[arg-type]


def test_a_command_of_the_application_connects_by_itself(uri: str) -> None:
    app = application(uri)
    datalayer = DataLayer(app)

    @app.cli.command("count-notes")
    def count_notes() -> None:
        datalayer.connect_now()
        print(Note.objects.count())

    assert app.test_cli_runner().invoke(args=["count-notes"]).output == "0\n"


def test_a_request_after_disconnecting_connects_again(uri: str) -> None:
    app = application(uri)
    DataLayer(app)
    client = app.test_client()
    client.get("/count")
    db.disconnect_all()
    assert client.get("/count").status_code == 200


def test_a_request_after_a_failed_connect_tries_again(mongod: EmbeddedMongo, uri: str) -> None:
    app = application(NOWHERE)
    away(app)
    DataLayer(app, handle_errors=True)
    client = app.test_client()
    assert client.get("/count").status_code == 503
    app.config["MONGODB_URI"] = uri
    assert client.get("/count").status_code == 200


@pytest.mark.parametrize("path", ["/static/style.css", "/about"])
def test_what_needs_no_database_is_answered_while_it_is_away(path: str, tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("a {}")
    app = Flask("shop", static_folder=str(tmp_path), static_url_path="/static")
    app.config["MONGODB_URI"] = NOWHERE
    app.add_url_rule("/about", "about", needs_no_database(lambda: "a {}"))
    DataLayer(app)
    with app.test_client().get(path) as response:
        assert response.text == "a {}"


# Applications, and what they share


def test_the_extension_is_found_in_the_application(uri: str) -> None:
    app = application(uri)
    datalayer = DataLayer(app)
    assert app.extensions["datalayer"] is datalayer


def test_a_second_extension_in_an_application_is_refused(uri: str) -> None:
    app = application(uri)
    DataLayer(app)
    with pytest.raises(ConfigurationError, match="'shop' has a DataLayer already"):
        DataLayer(app)


def test_outside_an_application_the_error_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no current Flask application"):
        DataLayer().connect_now()


def test_an_application_without_init_app_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'shop' does not know.*init_app"):
        DataLayer().connect_now(Flask("shop"))


def test_applications_with_the_same_settings_share_the_connections(uri: str) -> None:
    one, other = application(uri), application(uri, "office")
    datalayer = DataLayer()
    datalayer.init_app(one)
    datalayer.init_app(other)
    one.test_client().get("/count")
    client = db.database.client
    assert other.test_client().get("/count").status_code == 200
    assert db.database.client is client


def test_an_application_with_other_settings_is_refused(uri: str) -> None:
    one, other = application(uri), application(uri, "office", MONGODB_MAX_POOL_SIZE=3)
    DataLayer(one)
    datalayer = DataLayer(other)
    one.test_client().get("/count")
    with pytest.raises(ConfigurationError, match=r"'office' has other settings.*'default'"):
        datalayer.connect_now(other)


def test_what_a_test_has_connected_is_used_as_it_is(uri: str) -> None:
    db.connect_all(Settings({"default": uri}))
    app = application(NOWHERE, TESTING=True)
    DataLayer(app)
    assert app.test_client().get("/count").json == {"notes": 0}


def test_settings_may_come_as_an_argument(uri: str) -> None:
    app = application(NOWHERE)
    DataLayer(app, settings=Settings({"default": uri}))
    assert app.test_client().get("/count").status_code == 200


# A session for each request


def in_a_session() -> bool:
    return bound(registry.connection()) is not None


@pytest.fixture
def with_session(uri: str) -> tuple[Flask, list[bool]]:
    """An application whose requests have a session, and what its views saw of it."""
    app, seen = application(uri, TESTING=True), []
    app.add_url_rule("/look", "look", lambda: seen.append(in_a_session()) or "")
    DataLayer(app, session=True)
    return app, seen


def test_a_request_is_inside_a_session_that_ends_with_it(
    with_session: tuple[Flask, list[bool]],
) -> None:
    app, seen = with_session
    app.test_client().get("/look")
    assert (seen, in_a_session()) == ([True], False)


def test_a_session_has_to_be_asked_for(uri: str) -> None:
    app, seen = application(uri), []
    app.add_url_rule("/look", "look", lambda: seen.append(in_a_session()) or "")
    DataLayer(app)
    app.test_client().get("/look")
    assert seen == [False]


def test_a_session_ends_after_an_error_too(with_session: tuple[Flask, list[bool]]) -> None:
    app, _ = with_session
    raising(app, LookupError("a view fails"))
    with pytest.raises(LookupError):
        app.test_client().get("/raise")
    assert not in_a_session()


def test_a_session_ends_when_a_before_request_function_answers(
    with_session: tuple[Flask, list[bool]],
) -> None:
    app, seen = with_session
    app.before_request(lambda: Response("not now", 403))
    assert app.test_client().get("/look").status_code == 403
    assert (seen, in_a_session()) == ([], False)


def test_teardown_functions_are_inside_the_session(
    with_session: tuple[Flask, list[bool]],
) -> None:
    app, seen = with_session
    app.teardown_request(lambda _: seen.append(in_a_session()))
    app.test_client().get("/look")
    assert seen == [True, True]


@pytest.mark.parametrize("wrap", [iter, stream_with_context])
def test_a_streamed_body_is_outside_the_session_and_leaves_none_behind(
    with_session: tuple[Flask, list[bool]], wrap: type
) -> None:
    app, seen = with_session

    def chunks() -> Iterator[str]:
        seen.append(in_a_session())
        yield str(Note.objects.count())

    app.add_url_rule("/stream", "stream", lambda: Response(wrap(chunks())))
    assert app.test_client().get("/stream").text == "0"
    assert (seen, in_a_session()) == ([False], False)


def test_a_transaction_is_possible_inside_the_session(
    with_session: tuple[Flask, list[bool]],
) -> None:
    app, _ = with_session

    def write() -> str:
        with db.transaction():
            Note(text="a").save()
        return str(Note.objects.count())

    app.add_url_rule("/write", "write", write)
    assert app.test_client().get("/write").text == "1"


# Errors


@pytest.fixture
def with_a_wrong_password(
    auth_mongod: EmbeddedMongo,
) -> Iterator[tuple[Flask, list[str]]]:
    """An application whose credentials are refused, and each attempt to connect with them."""
    uri = re.sub(r"//[^@]*@", f"//{APP_USER[0]}:wrong@", auth_mongod.uri_for("shop"))
    app, attempts = application(uri), []
    DataLayer(app, handle_errors=True)

    def note(event: Event) -> None:
        attempts.append(event.alias)

    db.database.on("connecting", note)
    yield app, attempts
    db.database.off("connecting", note)


def test_refused_credentials_are_no_503(with_a_wrong_password: tuple[Flask, list[str]]) -> None:
    app, _ = with_a_wrong_password
    assert app.test_client().get("/count").status_code == 500


def test_refused_credentials_are_tried_once(
    with_a_wrong_password: tuple[Flask, list[str]],
) -> None:
    app, attempts = with_a_wrong_password
    app.testing = True
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="'default'"):
            app.test_client().get("/count")
    assert attempts == ["default"]


def test_other_credentials_are_tried_after_refused_ones(
    with_a_wrong_password: tuple[Flask, list[str]], auth_mongod: EmbeddedMongo
) -> None:
    app, _ = with_a_wrong_password
    app.test_client().get("/count")
    app.config["MONGODB_URI"] = auth_mongod.uri_for("shop")
    assert app.test_client().get("/count").status_code == 200


TEMPORARY = [
    ConnectError("a"),
    DeadlineExceededError("a"),
    NotConnectedError("a"),
    PoolExhaustedError("a"),
    UnavailableError("a"),
]


@pytest.mark.parametrize("error", TEMPORARY, ids=lambda error: type(error).__name__)
def test_an_error_without_effect_becomes_503_with_retry_after(uri: str, error: Exception) -> None:
    app = application(uri)
    raising(app, error)
    DataLayer(app, handle_errors=True)
    response = app.test_client().get("/raise")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    assert response.json == {"error": "temporarily unavailable, please try again"}


def test_a_write_that_may_have_happened_is_no_503(uri: str) -> None:
    app = application(uri)
    raising(app, OutcomeUnknownError("a"))
    DataLayer(app, handle_errors=True)
    assert app.test_client().get("/raise").status_code == 500


def test_errors_are_handled_only_where_that_is_asked_for(uri: str) -> None:
    app = application(uri)
    raising(app, UnavailableError("a"))
    DataLayer(app)
    assert app.test_client().get("/raise").status_code == 500


def test_a_document_that_others_have_changed_becomes_409(uri: str) -> None:
    app = application(uri)
    raising(app, StaleDocumentError("a"))
    DataLayer(app, handle_errors=True)
    response = app.test_client().get("/raise")
    assert response.status_code == 409
    assert response.json == {"error": "changed meanwhile, please load it again"}


def test_the_application_makes_the_page_of_a_409(uri: str) -> None:
    app = application(uri)
    raising(app, StaleDocumentError("a"))
    DataLayer(app, handle_errors=True)
    app.register_error_handler(409, lambda error: ("<h1>Changed</h1>", 409))
    assert app.test_client().get("/raise").text == "<h1>Changed</h1>"


def test_a_failed_connect_is_answered_with_503() -> None:
    app = application(NOWHERE)
    away(app)
    DataLayer(app, handle_errors=True)
    assert app.test_client().get("/count").status_code == 503


def test_bad_settings_are_no_503() -> None:
    app = application(None)
    DataLayer(app, handle_errors=True)
    assert app.test_client().get("/count").status_code == 500


def test_the_application_makes_the_page_of_a_503_and_retry_after_stays(uri: str) -> None:
    app = application(uri)
    raising(app, UnavailableError("a"))
    DataLayer(app, handle_errors=True)
    app.register_error_handler(503, lambda error: ("<h1>One moment</h1>", 503))
    response = app.test_client().get("/raise")
    assert (response.text, response.headers["Retry-After"]) == ("<h1>One moment</h1>", "2")


def test_the_application_s_own_handler_of_an_error_goes_before(uri: str) -> None:
    app = application(uri)
    raising(app, UnavailableError("a"))
    DataLayer(app, handle_errors=True)
    app.register_error_handler(UnavailableError, lambda error: ("mine", 502))
    assert app.test_client().get("/raise").status_code == 502


def test_an_answer_with_503_is_logged(uri: str, caplog: pytest.LogCaptureFixture) -> None:
    app = application(uri)
    raising(app, UnavailableError("the server is away"))
    DataLayer(app, handle_errors=True)
    app.test_client().get("/raise")
    assert "answered with 503: the server is away" in caplog.text
