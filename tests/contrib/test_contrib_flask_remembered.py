"""The status page is there for those who may see it while the database that knows them is away."""

from __future__ import annotations

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask_applications import application, clean_environment

from datalayer.contrib.flask import DataLayer, health_blueprint, remembered
from datalayer.errors import OutcomeUnknownError, UnavailableError

__all__ = ["clean_environment"]


class Login:
    """An application's own: it knows the admins, as long as its database is there."""

    def __init__(self) -> None:
        self.admins = {"ada"}
        self.error: Exception | None = None
        self.now = 1_000_000.0

    def says_yes(self) -> bool:
        if self.error is not None:
            raise self.error
        return session.get("user") in self.admins


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Login:
    made = Login()
    monkeypatch.setattr("datalayer.contrib.flask.authorisation_cache.time.time", lambda: made.now)
    return made


@pytest.fixture
def client(uri: str, login: Login) -> FlaskClient:
    app = application(uri, SECRET_KEY="of the tests")
    DataLayer(app)
    is_admin = remembered(lambda: session.get("user"), seconds=600)(login.says_yes)
    app.register_blueprint(health_blueprint(authorise=is_admin, timeout_seconds=20.0))

    @app.get("/sign-in/<name>")
    def sign_in(name: str) -> str:
        session["user"] = name
        return "welcome"

    @app.get("/sign-out")
    def sign_out() -> str:
        del session["user"]  # as Flask-Login does: what else is in the session stays
        return "good-bye"

    @app.get("/page")
    def page() -> str:
        return "with a link" if is_admin() else "without"

    return app.test_client()


def status_of(client: FlaskClient) -> int:
    return client.get("/status").status_code


def away() -> UnavailableError:
    return UnavailableError("the server is away")


def test_a_yes_holds_while_nobody_can_be_asked(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    assert status_of(client) == 200
    login.error = away()
    assert status_of(client) == 200


def test_a_yes_of_any_page_counts(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    client.get("/page")
    login.error = away()
    assert status_of(client) == 200


def test_a_yes_ends_with_its_time(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    status_of(client)
    login.error = away()
    login.now += 601
    assert status_of(client) == 403


def test_what_is_remembered_is_not_renewed_by_being_remembered(
    client: FlaskClient, login: Login
) -> None:
    client.get("/sign-in/ada")
    status_of(client)
    login.error = away()
    codes = []
    for _ in range(3):
        login.now += 300
        codes.append(status_of(client))
    assert codes == [200, 200, 403]


def test_a_no_is_forgotten_by_nothing(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    status_of(client)
    login.admins.clear()
    assert status_of(client) == 403
    login.error = away()
    assert status_of(client) == 403


def test_an_ordinary_user_gets_no_yes(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/eve")
    assert status_of(client) == 403
    login.error = away()
    assert status_of(client) == 403


def test_who_signs_in_after_an_admin_inherits_nothing(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    status_of(client)
    login.error = away()
    client.get("/sign-in/eve")
    assert status_of(client) == 403


def test_who_has_signed_out_is_a_stranger(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    status_of(client)
    client.get("/sign-out")
    login.error = away()
    assert status_of(client) == 403


def test_a_session_that_another_key_has_signed_is_none(
    client: FlaskClient, login: Login, uri: str
) -> None:
    forger = Flask("forger")
    forger.config["SECRET_KEY"] = "another"
    noted = {"user": "ada", "datalayer.says_yes": ["ada", int(login.now)]}
    serializer = forger.session_interface.get_signing_serializer(forger)  # type: ignore[attr-defined]
    client.set_cookie("session", serializer.dumps(noted))
    login.error = away()
    assert status_of(client) == 403


@pytest.mark.parametrize(
    "noted",
    ["ada", [], ["ada"], ["ada", "soon"], ["ada", 2**40], {"ada": 1}],
    ids=["text", "nothing", "no time", "text as time", "the future", "a mapping"],
)
def test_what_is_no_note_of_ours_is_no_yes(
    client: FlaskClient, login: Login, noted: object
) -> None:
    with client.session_transaction() as kept:
        kept["user"], kept["datalayer.says_yes"] = "ada", noted
    login.error = away()
    assert status_of(client) == 403


def test_the_cookie_is_not_sent_again_with_each_answer(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    sent = ["Set-Cookie" in client.get("/page").headers for _ in range(2)]
    login.now += 31
    assert [*sent, "Set-Cookie" in client.get("/page").headers] == [True, False, True]


def test_an_error_that_waiting_does_not_mend_is_raised(client: FlaskClient, login: Login) -> None:
    client.get("/sign-in/ada")
    status_of(client)
    client.application.testing = True
    login.error = OutcomeUnknownError("not about being away")
    with pytest.raises(OutcomeUnknownError):
        client.get("/status")
