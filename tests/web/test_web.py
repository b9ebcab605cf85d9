"""What a process answers over HTTP: liveness, readiness and status, whatever the framework."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from canaries import found_in
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from mongoengine import StringField
from observing import NO_OTHER_LIMIT
from pymongo import MongoClient
from waiting import wait_until

from datalayer import AnalyticsDocument, ConfigurationError, Settings, db
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConnectError,
    DeadlineExceededError,
    NotConnectedError,
    OutcomeUnknownError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.health import Verdict, verdict
from datalayer.web import Answer, Endpoints, Guard, is_temporary, temporary_failure
from datalayer.web.health_json import health_document

TOKEN = "canary-token-of-the-tests"
BEARER = f"Bearer {TOKEN}"
NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def asked(
    path: str, authorization: str | None = None, endpoints: Endpoints | None = None
) -> Answer:
    answer = (endpoints or Endpoints(token=TOKEN)).answer(path, authorization=authorization)
    assert answer is not None
    return answer


def document(answer: Answer) -> Any:
    return json.loads(answer.body)


@pytest.fixture(autouse=True)
def no_token_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATALAYER_STATUS_TOKEN", raising=False)


@pytest.fixture
def databases(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with connected(settings_for(mongod)) as settings:
        yield settings


@pytest.fixture
def proxied(mongod: EmbeddedMongo) -> Iterator[dict[str, FaultyProxy]]:
    """Both databases behind a proxy of their own."""
    proxies = {alias: FaultyProxy(mongod.hosts[0]) for alias in ("default", "database1")}
    databases = {
        alias: {"uri": proxy.uri_for(f"test_web_{alias}"), **NO_OTHER_LIMIT}
        for alias, proxy in proxies.items()
    }
    with connected(Settings(databases=databases)):
        yield proxies
        for proxy in proxies.values():
            proxy.restore()
    for proxy in proxies.values():
        proxy.close()


# Live


def test_a_process_is_live_before_it_connects() -> None:
    answer = asked("/livez")
    assert (answer.status, document(answer)) == (200, {"status": "pass"})


def test_liveness_sends_nothing_to_any_server(databases: Settings) -> None:
    sent = [db.get(alias).status()["commands"]["total"] for alias in databases]
    for _ in range(3):
        asked("/livez", BEARER)
    # Each status pings once.
    assert [db.get(alias).status()["commands"]["total"] - 1 for alias in databases] == sent


def test_a_process_is_live_while_its_databases_hang(proxied: dict[str, FaultyProxy]) -> None:
    for proxy in proxied.values():
        proxy.hang()
    endpoints = Endpoints(token=TOKEN, timeout_seconds=600)
    assert asked("/livez", endpoints=endpoints).status == 200


# Ready


def test_a_process_is_not_ready_before_it_connects() -> None:
    answer = asked("/readyz")
    assert (answer.status, document(answer)) == (503, {"status": "fail"})


def test_a_process_is_ready_when_its_databases_answer(databases: Settings) -> None:
    answer = asked("/readyz")
    assert (answer.status, document(answer)) == (200, {"status": "pass"})
    assert answer.content_type == "application/health+json"


def test_a_required_database_that_hangs_makes_it_unready_within_the_deadline(
    proxied: dict[str, FaultyProxy],
) -> None:
    proxied["default"].hang()
    endpoints = Endpoints(token=TOKEN, timeout_seconds=0.5)
    answer = asked("/readyz", endpoints=endpoints)
    assert (answer.status, document(answer)) == (503, {"status": "fail"})


def test_an_optional_database_that_hangs_is_a_warning(proxied: dict[str, FaultyProxy]) -> None:
    proxied["database1"].hang()
    answer = asked("/readyz", endpoints=Endpoints(token=TOKEN, timeout_seconds=0.5))
    assert (answer.status, document(answer)) == (200, {"status": "warn"})


def test_requests_at_the_same_time_share_their_pings(
    databases: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = Endpoints(token=TOKEN)
    rounds: list[int] = []
    all_wait = threading.Event()
    real = db.status

    def slow(timeout: float) -> dict[str, Any]:
        rounds.append(1)
        assert all_wait.wait(60)
        return real(timeout)

    monkeypatch.setattr("datalayer.web.endpoints.db.status", slow)
    with ThreadPoolExecutor(16) as pool:
        asking = [pool.submit(asked, "/readyz", None, endpoints) for _ in range(16)]
        wait_until(lambda: rounds and sum(each.running() for each in asking) == 16)
        all_wait.set()
        assert {each.result().status for each in asking} == {200}
    assert len(rounds) <= 3  # one, and the last for those that were late


def test_a_forked_child_does_not_wait_for_its_parents_pings(databases: Settings) -> None:
    endpoints = Endpoints(token=TOKEN)
    endpoints._flights[os.getpid()] = _Stuck()  # type: ignore[assignment]
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os._exit(0 if asked("/readyz", endpoints=endpoints).status == 200 else 1)
    assert os.waitpid(child, 0)[1] == 0


class _Stuck:
    def run(self, _call: object) -> None:
        threading.Event().wait()


# Details


@pytest.mark.parametrize(
    "authorization", [BEARER, f"bearer {TOKEN}", basic("anyone", TOKEN), basic("", TOKEN)]
)
def test_the_token_shows_the_details(databases: Settings, authorization: str) -> None:
    shown = document(asked("/readyz", authorization))
    assert set(shown["checks"]) == {
        "default:responseTime", "default:connections",
        "database1:responseTime", "database1:connections",
    }  # fmt: skip


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Token {TOKEN}",
        TOKEN,
        basic(TOKEN, ""),
        "Basic not-base64!",
        "Bearer \u00e9",
    ],
)
def test_nobody_else_sees_them(databases: Settings, authorization: str | None) -> None:
    assert document(asked("/readyz", authorization)) == {"status": "pass"}
    assert asked("/status", authorization).status == 401
    assert asked("/status.json", authorization).status == 401


def test_a_browser_is_asked_for_the_token() -> None:
    refused = asked("/status")
    assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_without_a_token_nobody_sees_the_status() -> None:
    endpoints = Endpoints()
    assert asked("/status", BEARER, endpoints).status == 403
    assert asked("/status", "Bearer ", endpoints).status == 403
    assert b"DATALAYER_STATUS_TOKEN" in asked("/status", None, endpoints).body


def test_an_application_may_say_that_a_caller_is_authorised() -> None:
    answer = Endpoints().answer("/status.json", authorised=True)
    assert answer is not None
    assert answer.status == 200


def test_the_token_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATALAYER_STATUS_TOKEN", f" {TOKEN} ")
    assert asked("/status.json", BEARER, Endpoints()).status == 200


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_token_is_none(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Endpoints(token=empty).answer("/status", authorization="Bearer ")
    assert answer is not None
    assert answer.status == 403
    monkeypatch.setenv("DATALAYER_STATUS_TOKEN", TOKEN)
    answer = Endpoints(token=empty).answer("/status.json", authorization=f"Bearer {TOKEN}")
    assert answer is not None
    assert answer.status == 200


def test_a_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="fewer than 16 characters") as caught:
        Endpoints(token="canary")
    assert found_in(str(caught.value)) is None


@pytest.mark.parametrize("letter", ["\u00e9", " ", "\n"])
def test_a_token_that_no_header_can_hold_is_refused(letter: str) -> None:
    with pytest.raises(ConfigurationError, match="printable ASCII") as caught:
        Endpoints(token=f"canary-canary-{letter}-canary")
    assert found_in(str(caught.value)) is None


def test_the_token_is_never_shown() -> None:
    assert found_in(repr(Guard(TOKEN)) + repr(vars(Endpoints(token=TOKEN)))) is None


def test_no_answer_holds_a_password(auth_mongod: EmbeddedMongo) -> None:
    with connected(settings_for(auth_mongod)):
        for path in Endpoints(token=TOKEN).paths:
            answer = asked(path, BEARER)
            assert answer.status == 200
            assert found_in(answer.body.decode()) is None


def test_no_answer_holds_what_documents_contain(mongod: EmbeddedMongo) -> None:
    settings = settings_for(mongod)
    duplicates = [{"name": "canary"}, {"name": "canary"}]
    with MongoClient[dict[str, Any]](settings["database1"].uri) as client:
        client.get_default_database()["things"].insert_many(duplicates)
    with model_registry():

        class Thing(AnalyticsDocument):
            name = StringField(unique=True)
            meta = {"collection": "things"}

        with connected(settings):
            Thing.objects(name="canary").first()
            for path in Endpoints(token=TOKEN).paths:
                assert found_in(asked(path, BEARER).body.decode()) is None
            assert "things" in document(asked("/readyz", BEARER))["notes"][0]


def test_an_outsider_learns_nothing_of_a_failure(proxied: dict[str, FaultyProxy]) -> None:
    proxied["default"].refuse()
    endpoints = Endpoints(token=TOKEN, timeout_seconds=0.5)
    assert document(asked("/readyz", None, endpoints)) == {"status": "fail"}
    told = document(asked("/readyz", BEARER, endpoints))
    assert told["notes"][0].startswith("default: required and unavailable")
    assert told["checks"]["default:responseTime"][0]["output"]


# The answers' form


def test_unknown_paths_are_not_ours() -> None:
    for path in ("", "/", "/livez/", "/readyz.json", "livez"):
        assert Endpoints(token=TOKEN).answer(path) is None


def test_the_page_may_use_its_own_style_sheet_and_no_other() -> None:
    answer = Endpoints().answer("/status", authorised=True)
    assert answer is not None
    sheet = answer.body.partition(b"<style>")[2].partition(b"</style>")[0]
    digest = base64.b64encode(hashlib.sha256(sheet).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy


def test_no_answer_is_kept_by_a_cache() -> None:
    for path in Endpoints(token=TOKEN).paths:
        assert asked(path, BEARER).headers["Cache-Control"] == "no-store"


def test_the_length_is_told() -> None:
    answer = asked("/livez")
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.status_line == "200 OK"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "pass"),
        ({"degraded": True}, "warn"),
        ({"ready": False, "degraded": True}, "fail"),
    ],
)
def test_the_word_for_a_verdict(changes: dict[str, Any], word: str) -> None:
    judged = Verdict(**{"live": True, "ready": True, "degraded": False, "reasons": (), **changes})
    made = health_document({}, judged, detailed=False, now=NOW)
    assert made == {"status": word}


def test_the_document_follows_the_draft(databases: Settings) -> None:
    status = db.status()
    status["database1"].update(
        connected=False, state="unavailable", latency_ms=None, last_error="away"
    )
    status["default"]["pool"]["waiting"] = 3
    made = health_document(status, verdict(status), detailed=True, now=NOW)
    what = {"componentType": "datastore", "time": "2026-01-02T03:04:05.678+00:00"}
    assert made["status"] == "warn"
    assert made["notes"] == ["database1: optional and unavailable (away)"]
    assert made["checks"]["database1:responseTime"] == [
        {
            "componentId": "database1",
            **what,
            "status": "warn",
            "output": "away",
        }
    ]
    assert made["checks"]["default:responseTime"] == [
        {
            "componentId": "default",
            **what,
            "status": "pass",
            "observedValue": status["default"]["latency_ms"],
            "observedUnit": "ms",
        }
    ]
    assert made["checks"]["default:connections"][0]["status"] == "warn"


# Errors that may be answered by trying again


@pytest.mark.parametrize(
    "kind",
    [
        ConnectError,
        DeadlineExceededError,
        NotConnectedError,
        PoolExhaustedError,
        UnavailableError,
    ],
)
def test_an_operation_without_effect_may_be_tried_again(kind: type[Exception]) -> None:
    assert is_temporary(kind("away"))


@pytest.mark.parametrize(
    "error", [OutcomeUnknownError("lost"), AuthenticationError("no"), ValueError("bad")]
)
def test_others_may_not(error: Exception) -> None:
    # Sent again, the same request could write twice, or would be refused again.
    assert not is_temporary(error)


def test_trying_again_is_said_as_http_has_it() -> None:
    answer = temporary_failure(7)
    assert (answer.status_line, answer.headers["Retry-After"]) == ("503 Service Unavailable", "7")
