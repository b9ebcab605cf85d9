"""What ``manage.py check`` says of the settings and, where it is asked to, of the servers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from django.core.checks import CheckMessage, Tags, run_checks
from django.test import override_settings
from django.urls import include, path
from django.views import generic
from django_in_process import django_site
from ports import SilentServer
from pymongo import MongoClient

from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo

LOCAL = "mongodb://127.0.0.1:27017/app"
CONNECT = "datalayer.contrib.django.middleware.ConnectMiddleware"
CAUSAL = "datalayer.contrib.django.middleware.CausalReadsMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"


def ours(**how: Any) -> list[CheckMessage]:
    return [each for each in run_checks(**how) if str(each.id).startswith("datalayer.")]


def ids(**how: Any) -> list[str]:
    return [str(each.id) for each in ours(**how)]


def test_good_settings_pass() -> None:
    with django_site(DATALAYER={"MONGODB_URI": LOCAL}):
        assert ids(include_deployment_checks=True) == []


def test_every_problem_of_the_settings_is_an_error_with_a_hint() -> None:
    with django_site(DATALAYER={"MONGODB_MAX_POOL_SIZE": 0, "MONGODB_URI": "mongodb://h:1"}):
        found = ours()
    assert [each.id for each in found] == ["datalayer.E001", "datalayer.E001"]
    assert {each.msg.split()[0] for each in found} == {"MONGODB_URI", "MONGODB_MAX_POOL_SIZE"}
    assert all("manage.py datalayer_config" in str(each.hint) for each in found)


def test_a_password_in_wrong_settings_is_not_shown() -> None:
    given = {"MONGODB_URI": "mongodb://app:hunter2hunter2@h:1", "MONGODB_MAX_POOL_SIZE": "hunter2"}
    with django_site(DATALAYER=given):
        found = ours()
    assert len(found) == 2
    assert "hunter2" not in "".join(map(str, found))


def test_a_short_token_of_the_environment_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAYER_STATUS_TOKEN", "short")
    with django_site(DATALAYER={"MONGODB_URI": LOCAL}):
        assert ids() == ["datalayer.E002"]


def test_a_short_token_is_an_error() -> None:
    with django_site(DATALAYER={"MONGODB_URI": LOCAL, "DATALAYER_STATUS_TOKEN": "short"}):
        found = ours()
    assert [each.id for each in found] == ["datalayer.E002"]
    assert "keep it out of the repository" in str(found[0].hint)


def test_a_project_in_which_nothing_connects_is_warned() -> None:
    with django_site(DATALAYER={"MONGODB_URI": LOCAL}, MIDDLEWARE=[SESSIONS]):
        found = ours()
    assert [each.id for each in found] == ["datalayer.W001"]
    assert CONNECT in str(found[0].hint)


def test_a_session_before_the_connection_is_an_error() -> None:
    with django_site(DATALAYER={"MONGODB_URI": LOCAL}, MIDDLEWARE=[CAUSAL, CONNECT]):
        found = ours()
    assert [each.id for each in found] == ["datalayer.E003"]
    assert CONNECT in str(found[0].hint)


def test_a_server_elsewhere_without_tls_is_a_warning_for_production() -> None:
    given = {"MONGODB_URI": "mongodb://db.example.com/app"}
    with django_site(DATALAYER=given):
        assert ids() == []
        found = ours(include_deployment_checks=True)
    assert {each.id for each in found} == {"datalayer.W002"}
    assert "without TLS" in found[0].msg
    assert "DATALAYER_REQUIRE_TLS" in str(found[0].hint)


@pytest.mark.parametrize("kind", ["embedded", "mongomock"])
def test_a_database_that_ends_with_the_process_is_an_error_for_production(kind: str) -> None:
    with django_site(DATALAYER={"MONGODB_URI": f"{kind}://app"}):
        assert ids() == []
        found = ours(include_deployment_checks=True)
    assert {each.id for each in found} == {"datalayer.E004"}
    assert "a server in production" in str(found[0].hint)


def test_no_check_asks_a_server_unless_it_is_told_to(silent_server: SilentServer) -> None:
    with django_site(DATALAYER={"MONGODB_URI": silent_server.uri}):
        run_checks(include_deployment_checks=True)
        run_checks(databases=["default"])  # as migrate and test do
        assert silent_server.connections() == 0


def test_told_to_the_check_asks_the_servers(uri: str) -> None:
    with django_site(DATALAYER={"MONGODB_URI": uri}):
        found = run_checks(
            tags=[Tags.database], include_deployment_checks=True, databases=["default"]
        )
        assert registry.aliases() == []
    assert [each for each in found if each.is_serious()] == []


def test_a_server_that_is_away_is_an_error_of_the_check(closed_port: int) -> None:
    with django_site(DATALAYER={"MONGODB_URI": f"mongodb://127.0.0.1:{closed_port}/app"}):
        found = ours(include_deployment_checks=True, databases=["default"])
    assert "datalayer.E005" in [each.id for each in found]
    assert all(each.hint for each in found)


def test_an_index_that_the_server_lacks_is_a_warning_of_the_check(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[database_name]["notes"].insert_one({"text": "before there was an index"})
    with django_site(DATALAYER={"MONGODB_URI": mongod.uri_for(database_name)}):
        found = ours(include_deployment_checks=True, databases=["default"])
    (lacking,) = [each for each in found if "notes lacks the index text_1" in each.msg]
    assert lacking.id == "datalayer.W003"
    assert lacking.hint == "run `datalayer indexes sync`"


def test_sessions_in_a_database_that_is_none_are_an_error() -> None:
    sessions = {"SESSION_ENGINE": "datalayer.contrib.django.sessions"}
    with django_site(DATALAYER={"MONGODB_URI": LOCAL}, **sessions):
        assert ids() == []
    with django_site(
        DATALAYER={"MONGODB_URI": LOCAL}, DATALAYER_SESSION_ALIAS="visits", **sessions
    ):
        (found,) = ours()
    assert (found.id, "'visits'" in found.msg) == ("datalayer.E007", True)
    assert "'default', 'database1'" in str(found.hint)


class _Nowhere(generic.UpdateView):
    fields = ["text"]


def test_a_view_of_the_orm_s_with_a_document_is_an_error_that_names_ours() -> None:
    with django_site(DATALAYER={"MONGODB_URI": LOCAL}):
        from django_site.models import Note

        from datalayer.contrib.django.generic import DetailView

        views = ModuleType("urls_of_the_orm")
        views.urlpatterns = [  # type: ignore[attr-defined]
            path("list", generic.ListView.as_view(model=Note)),
            path("below/", include(([path("new", _Nowhere.as_view(model=Note))], "below"))),
            path("ours", DetailView.as_view(model=Note)),
            path("about", lambda request: None),
        ]
        with override_settings(ROOT_URLCONF=views):
            found = {str(each.hint): each for each in ours()}
    assert {each.id for each in found.values()} == {"datalayer.E006"}
    assert [hint.rsplit(".", 2)[-2] for hint in sorted(found)] == ["ListView", "UpdateView"]
    assert "Note is a document" in next(iter(found.values())).msg
