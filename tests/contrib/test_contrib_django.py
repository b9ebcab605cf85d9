"""The Django application in one process: settings, views and middleware."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from credentials import APP_USER
from django.conf import settings
from django.core.checks.registry import registry as checks
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.views.debug import ExceptionReporter
from django_in_process import django_site
from faulty_proxy import FaultyProxy
from pymongo import _csot

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.django import connect, read_settings
from datalayer.contrib.django.test import empty_databases
from datalayer.contrib.django.views import view_of
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import AuthenticationError, ConfigurationError, UnavailableError
from datalayer.service.events import Event

TOKEN = "a-token-of-the-tests"
PASSWORD = "hunter2hunter2"
BEARER = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}


@pytest.fixture
def databases(uris: dict[str, str]) -> dict[str, str]:
    return {**uris, "DATALAYER_STATUS_TOKEN": TOKEN}


@pytest.fixture
def site(databases: dict[str, str]) -> Iterator[Client]:
    """The project on the test server, not connected yet."""
    with django_site(DATALAYER=databases):
        yield Client(raise_request_exception=False)


@pytest.fixture
def nowhere(closed_port: int) -> dict[str, Any]:
    """Settings for a server that refuses connections."""
    return {
        "MONGODB_URI": f"mongodb://127.0.0.1:{closed_port}/away",
        "MONGODB_RETRY_MAX_SECONDS": 0.5,
        "DATABASE1_RETRY_MAX_SECONDS": 0.5,
        "MONGODB_SERVER_SELECTION_TIMEOUT_MS": 300,
        "DATALAYER_STATUS_TOKEN": TOKEN,
    }


# Settings


def test_the_dict_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://localhost/environment")
    monkeypatch.setenv("MONGODB_MAX_POOL_SIZE", "7")
    with django_site(DATALAYER={"MONGODB_URI": "mongodb://localhost/dict"}):
        settings = read_settings()
    assert settings["default"].database == "dict"
    assert settings["default"].max_pool_size == 7


def test_values_may_be_of_pythons_types() -> None:
    given = {
        "MONGODB_URI": "mongodb://localhost/app",
        "DATALAYER_ALIASES": ["archive", "reports"],
        "ARCHIVE_URI": "mongodb://localhost/archive",
        "REPORTS_URI": "mongodb://localhost/reports",
        "MONGODB_AUTO_INDEX": False,
        "MONGODB_MAX_POOL_SIZE": 20,
    }
    with django_site(DATALAYER=given):
        settings = read_settings()
    assert list(settings) == ["default", "database1", "archive", "reports"]
    assert settings["default"].auto_index is False
    assert settings["default"].max_pool_size == 20


def test_every_problem_is_told_at_once() -> None:
    given = {"MONGODB_URL": "mongodb://localhost/app", "MONGODB_MIN_POOL_SIZE": "two", "only": 1}
    with django_site(DATALAYER=given), pytest.raises(ConfigurationError) as caught:
        read_settings()
    told = "\n".join(caught.value.problems)
    assert "MONGODB_URI is not set (MONGODB_URL is set; did you mean MONGODB_URI?)" in told
    assert "MONGODB_URL is not a setting; did you mean mongodb_uri?" in told
    assert "MONGODB_MIN_POOL_SIZE must be a whole number" in told
    assert "the key 'only' is no variable's name, which is written in capitals" in told


def test_a_list_in_the_place_of_the_dict_is_told() -> None:
    with (
        django_site(DATALAYER=["MONGODB_URI"]),
        pytest.raises(ConfigurationError, match="DATALAYER must be a dict"),
    ):
        read_settings()


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
@pytest.mark.parametrize("more", [{}, {"MONGODB_MAX_POOL_SIZE": "many"}])
def test_djangos_page_on_an_error_shows_no_secret(
    nowhere: dict[str, Any], accept: str, more: dict[str, str]
) -> None:
    given = nowhere | more
    given["MONGODB_URI"] = given["MONGODB_URI"].replace("//", f"//ann:{PASSWORD}@")
    with django_site(DATALAYER=given, DEBUG=True):
        client = Client(raise_request_exception=False)
        page = client.get("/work", headers={"Accept": accept}).content.decode()
    assert "MONGODB_URI" in page
    assert PASSWORD not in page
    assert TOKEN not in page


def test_a_mail_on_an_error_shows_no_secret() -> None:
    uri = f"mongodb://ann:{PASSWORD}@localhost/app"
    with django_site(DATALAYER={"MONGODB_URI": uri, "DATALAYER_STATUS_TOKEN": TOKEN}):
        reporter = ExceptionReporter(None, ValueError, ValueError("of the application"), None)
        mail = reporter.get_traceback_text()
        assert read_settings()["default"].uri == uri
    assert "MONGODB_URI" in mail
    assert PASSWORD not in mail
    assert TOKEN not in mail


def test_connect_all_without_settings_takes_those_of_django(site: Client, uri: str) -> None:
    db.connect_all()
    assert registry.connection().settings.uri == uri


def test_ready_may_run_again(site: Client) -> None:
    from django.apps import apps

    before = len(checks.get_checks(include_deployment_checks=True))
    apps.get_app_config("datalayer").ready()
    assert len(checks.get_checks(include_deployment_checks=True)) == before
    assert registry.aliases() == []


# Connecting


def test_the_first_request_connects(site: Client) -> None:
    answer = site.get("/work")
    assert answer.json()["notes"] == 1
    assert set(registry.aliases()) == {"default", "database1"}


def test_a_second_request_uses_the_same_connection(site: Client) -> None:
    site.get("/work")
    connection = registry.connection()
    site.get("/work")
    assert registry.connection() is connection


def test_connect_does_nothing_in_a_process_that_has_connected(site: Client) -> None:
    connect()
    connection = registry.connection()
    with override_settings(DATALAYER={"MONGODB_URI": "mongodb://localhost/another"}):
        connect()
    assert registry.connection() is connection


def test_requests_are_answered_with_503_while_the_database_is_away(
    nowhere: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with django_site(DATALAYER=nowhere):
        answer = Client(raise_request_exception=False).get("/work")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "ConnectError" in caplog.text
    assert "127.0.0.1" not in answer.content.decode()


def test_a_view_that_needs_no_database_is_served_without(nowhere: dict[str, Any]) -> None:
    with django_site(DATALAYER=nowhere):
        assert Client().get("/about").json() == {"connected": []}


def test_with_debug_the_error_is_shown(nowhere: dict[str, Any]) -> None:
    with django_site(DATALAYER=nowhere, DEBUG=True):
        answer = Client(raise_request_exception=False).get("/work")
    assert answer.status_code == 500
    assert "ConnectError" in answer.content.decode()


def test_a_request_after_the_server_came_back_connects(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        proxy.refuse()
        given = {
            "MONGODB_URI": proxy.uri_for(database_name),
            "MONGODB_RETRY_MAX_SECONDS": 0.5,
            "DATABASE1_RETRY_MAX_SECONDS": 0.5,
        }
        with django_site(DATALAYER=given):
            client = Client(raise_request_exception=False)
            assert client.get("/work").status_code == 503
            proxy.restore()
            assert client.get("/work").status_code == 200
            db.disconnect_all()


def test_refused_credentials_are_tried_once_by_requests_and_probes(
    auth_mongod: EmbeddedMongo,
) -> None:
    uri = re.sub(r"//[^@]*@", f"//{APP_USER[0]}:wrong@", auth_mongod.uri_for("shop"))
    attempts = []

    def note(event: Event) -> None:
        attempts.append(event.alias)

    db.database.on("connecting", note)
    try:
        with django_site(DATALAYER={"MONGODB_URI": uri}):
            client = Client(raise_request_exception=False)
            codes = [client.get(path).status_code for path in ("/work", "/readyz", "/work")]
            with pytest.raises(AuthenticationError, match="'default'"):
                connect()
    finally:
        db.database.off("connecting", note)
    assert (codes, attempts) == ([500, 503, 500], ["default"])


def test_other_credentials_are_tried_after_refused_ones(auth_mongod: EmbeddedMongo) -> None:
    right = auth_mongod.uri_for("shop")
    wrong = re.sub(r"//[^@]*@", f"//{APP_USER[0]}:wrong@", right)
    with django_site(DATALAYER={"MONGODB_URI": wrong}):
        assert Client(raise_request_exception=False).get("/work").status_code == 500
    with django_site(DATALAYER={"MONGODB_URI": right}):
        assert Client(raise_request_exception=False).get("/work").status_code == 200


def test_wrong_settings_are_no_temporary_failure() -> None:
    with django_site(DATALAYER={"MONGODB_URI": "no URI"}):
        assert Client(raise_request_exception=False).get("/work").status_code == 500


def test_the_fixture_for_pytest_serves_views(datalayer_db: ModuleType) -> None:
    with django_site(DATALAYER={"MONGODB_URI": "mongodb://127.0.0.1:9/away"}):
        assert Client().get("/work").json()["notes"] == 1


def test_an_asynchronous_handler_serves_the_same(site: Client) -> None:
    async def ask() -> tuple[Any, Any]:
        client = AsyncClient()
        return (await client.get("/work")).json(), (await client.get("/session")).json()

    work, session = asyncio.run(ask())
    assert work["notes"] == 1
    assert session == {"bound": True}


# Health


def test_liveness_connects_nothing(site: Client) -> None:
    answer = site.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "pass"})
    assert registry.aliases() == []


def test_readiness_connects_so_that_the_process_becomes_ready(site: Client) -> None:
    answer = site.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "pass"})
    assert answer.headers["Content-Type"] == "application/health+json"
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_process_whose_database_is_away_is_live_and_not_ready(nowhere: dict[str, Any]) -> None:
    with django_site(DATALAYER=nowhere):
        client = Client()
        assert client.get("/livez").status_code == 200
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "fail"})


def test_the_token_shows_details(site: Client) -> None:
    answer = site.get("/readyz", **BEARER)
    assert set(answer.json()["checks"]) >= {"default:responseTime", "database1:responseTime"}


def test_the_status_is_refused_without_a_token(site: Client) -> None:
    answer = site.get("/status.json")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_the_token_shows_the_status(site: Client) -> None:
    answer = site.get("/status.json", **BEARER)
    assert answer.json()["databases"]["default"]["connected"] is True


def test_the_status_page_is_html(site: Client) -> None:
    answer = site.get("/status", **BEARER)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("user", "code"),
    [
        (SimpleNamespace(is_active=True, is_staff=True), 200),
        (SimpleNamespace(is_active=True, is_staff=False), 401),
        (SimpleNamespace(is_active=False, is_staff=True), 401),
        (SimpleNamespace(is_active=True), 401),
    ],
    ids=["staff", "other", "staff that left", "a model without staff"],
)
def test_only_active_staff_users_see_the_status(
    site: Client, user: SimpleNamespace, code: int
) -> None:
    request = RequestFactory().get("/status.json")
    request.user = user
    assert view_of("/status.json")(request).status_code == code


def test_a_user_that_the_orm_cannot_load_sees_no_details(site: Client) -> None:
    # The tables of the ORM were never made.
    site.cookies["sessionid"] = "abcdefghijklmnopqrstuvwxyz012345"
    assert site.get("/readyz").json() == {"status": "pass"}


def test_a_user_that_mongodb_cannot_load_sees_no_details(site: Client) -> None:
    class Away:
        @property
        def is_active(self) -> bool:
            raise UnavailableError("the server is away")

    request = RequestFactory().get("/readyz")
    request.user = Away()
    answer = view_of("/readyz")(request)
    assert (answer.status_code, json.loads(answer.content)) == (200, {"status": "pass"})


# While the users' database is away


class _Users:
    """A project's users, in a database that may be away."""

    def __init__(self) -> None:
        self.is_staff = True
        self.is_away = False

    @property
    def is_active(self) -> bool:
        if self.is_away:
            raise UnavailableError("the server is away")
        return True


def seen(users: _Users, cookies: dict[str, str]) -> int:
    """The code of the answer; the browser keeps its cookies."""
    request = RequestFactory().get("/status.json")
    request.COOKIES.update(cookies)
    request.user = users
    answer = view_of("/status.json")(request)
    cookies.update({name: morsel.value for name, morsel in answer.cookies.items()})
    return answer.status_code


@pytest.fixture
def browser(site: Client) -> dict[str, str]:
    return {"sessionid": "of-ada"}


def test_staff_who_have_seen_the_status_still_do(browser: dict[str, str]) -> None:
    users = _Users()
    assert seen(users, browser) == 200
    users.is_away = True
    assert seen(users, browser) == 200


def test_others_never_see_it(browser: dict[str, str]) -> None:
    users = _Users()
    users.is_staff = False
    assert seen(users, browser) == 401
    users.is_away = True
    assert seen(users, browser) == 401


def test_staff_that_were_removed_lose_it_at_once(browser: dict[str, str]) -> None:
    users = _Users()
    seen(users, browser)
    users.is_staff = False
    assert (seen(users, browser), browser["datalayer_status"]) == (401, "")
    users.is_away = True
    assert seen(users, browser) == 401


def test_staff_lose_it_after_an_hour(
    browser: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    users = _Users()
    seen(users, browser)
    users.is_away = True
    later = time.time() + 3602
    monkeypatch.setattr("django.core.signing.time.time", lambda: later)
    assert seen(users, browser) == 401


def test_another_session_inherits_nothing(browser: dict[str, str]) -> None:
    users = _Users()
    seen(users, browser)
    users.is_away = True
    assert seen(users, {**browser, "sessionid": "of-eve"}) == 401
    del browser["sessionid"]  # logged out
    assert seen(users, browser) == 401


def test_a_cookie_that_others_have_made_counts_for_nothing(browser: dict[str, str]) -> None:
    users = _Users()
    users.is_away = True
    browser["datalayer_status"] = hashlib.sha256(b"of-ada").hexdigest()
    assert seen(users, browser) == 401


def test_a_user_has_as_long_to_be_loaded_as_the_databases_for_their_pings(site: Client) -> None:
    left = []

    class Slow:
        @property
        def is_active(self) -> bool:
            left.append(_csot.remaining())
            return True

    request = RequestFactory().get("/readyz")
    request.user = Slow()
    view_of("/readyz")(request)
    assert 0 < left[0] <= 2


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes_need_no_account_where_all_other_views_do(site: Client, path: str) -> None:
    everywhere = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, everywhere]):
        client = Client()
        assert client.get(path).json() == {"status": "pass"}
        assert client.get("/work").status_code == 302


def test_a_bad_token_does_not_make_a_process_look_dead(databases: dict[str, str]) -> None:
    with django_site(DATALAYER=databases | {"DATALAYER_STATUS_TOKEN": "short"}):
        assert Client(raise_request_exception=False).get("/livez").status_code == 200


@pytest.mark.parametrize("empty", ["", " ", None])
def test_an_empty_token_is_none(databases: dict[str, str], empty: str | None) -> None:
    with django_site(DATALAYER=databases | {"DATALAYER_STATUS_TOKEN": empty}):
        client = Client()
        answers = [client.get(path).status_code for path in ("/readyz", "/status")]
    assert answers == [200, 403]


def test_the_health_views_can_only_be_read(site: Client) -> None:
    answer = site.post("/readyz")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_head_request_has_no_body_whatever_the_server_does(site: Client, path: str) -> None:
    answer = view_of(path)(RequestFactory().head(path))
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(site.get(path).content))


# Errors of views


@pytest.mark.parametrize(
    "name",
    ["UnavailableError", "DeadlineExceededError", "PoolExhaustedError", "NotConnectedError"],
)
def test_a_temporary_error_becomes_503(
    site: Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = site.get(f"/failing/{name}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "told to the log only" not in answer.content.decode()
    assert name in caplog.text


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, "text/html"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
    ],
    ids=["a browser", "anything", "json"],
)
def test_a_browser_is_shown_the_projects_own_page(site: Client, accept: str, kind: str) -> None:
    page = {"503.html": "<h1>One moment, please</h1>"}
    loaders = [("django.template.loaders.locmem.Loader", page)]
    django = "django.template.backends.django.DjangoTemplates"
    with override_settings(TEMPLATES=[{"BACKEND": django, "OPTIONS": {"loaders": loaders}}]):
        answer = site.get("/failing/UnavailableError", headers={"accept": accept})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.headers["Cache-Control"] == "no-store"
    assert ("One moment, please" in answer.content.decode()) == (kind == "text/html")


def test_a_project_without_that_page_answers_a_browser_as_everybody(site: Client) -> None:
    answer = site.get("/failing/UnavailableError", headers={"accept": BROWSER})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/json")


def test_a_document_that_others_have_changed_becomes_409(site: Client) -> None:
    answer = site.get("/failing/StaleDocumentError")
    assert answer.status_code == 409
    assert answer.json() == {"error": "changed meanwhile, please load it again"}


@pytest.mark.parametrize("name", ["OutcomeUnknownError", "TransactionError"])
def test_another_error_stays_an_error(site: Client, name: str) -> None:
    assert site.get(f"/failing/{name}").status_code == 500


def test_without_the_middleware_a_temporary_error_stays_an_error(site: Client) -> None:
    only = ["datalayer.contrib.django.middleware.ConnectMiddleware"]
    with override_settings(MIDDLEWARE=only):
        client = Client(raise_request_exception=False)
        assert client.get("/failing/UnavailableError").status_code == 500


# Sessions


def test_a_request_has_a_session_of_its_own(site: Client) -> None:
    assert site.get("/session").json() == {"bound": True}


def test_without_the_middleware_a_request_has_no_session(site: Client) -> None:
    only = ["datalayer.contrib.django.middleware.ConnectMiddleware"]
    with override_settings(MIDDLEWARE=only):
        assert Client().get("/session").json() == {"bound": False}


def test_the_session_ends_with_the_request(site: Client) -> None:
    from datalayer.transactions.state import bound

    site.get("/session")
    assert bound(registry.connection()) is None


# Tests of applications


def test_databases_that_no_test_run_made_are_not_emptied(site: Client) -> None:
    site.get("/work")
    with pytest.raises(RuntimeError, match="which no test runner has made"):
        empty_databases()
    assert site.get("/work").json()["notes"] == 2
