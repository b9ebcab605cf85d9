"""A Flask application's health blueprint, its command line, and real server processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from flask import Flask, request
from flask_applications import NOWHERE, TOKEN, Note, application, away, clean_environment
from paths import PROGRAMS
from pymongo import MongoClient, _csot
from running_programs import python
from running_servers import Running, running
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.contrib.flask import DataLayer, health_blueprint
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError, UnavailableError

pytestmark = pytest.mark.applications

__all__ = ["clean_environment"]


def with_health(uri: str | None, options: dict[str, Any], **config: Any) -> Flask:
    app = application(uri, **config)
    DataLayer(app)
    app.register_blueprint(health_blueprint(**options))
    return app


# Health


def test_livez_connects_to_nothing() -> None:
    app = with_health(NOWHERE, {})
    assert app.test_client().get("/livez").json == {"status": "pass"}
    assert registry.aliases() == []


def test_readyz_connects_by_itself(uri: str) -> None:
    app = with_health(uri, {"timeout_seconds": 20.0})
    response = app.test_client().get("/readyz")
    assert (response.status_code, response.json) == (200, {"status": "pass"})
    assert response.content_type == "application/health+json"


def test_readyz_is_answered_in_time_while_the_server_hangs(
    mongod: EmbeddedMongo, database_name: str
) -> None:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        app = with_health(proxy.uri_for(database_name), {"timeout_seconds": 0.5})
        proxy.hang()
        response = app.test_client().get("/readyz")
        state = db.database.state
        proxy.restore()
        wait_until(lambda: db.database.is_connected, 30, "it is connected")
    assert (response.status_code, response.json) == (503, {"status": "fail"})
    assert state == "connecting"  # which goes on for as long as the settings say


def test_a_failed_connect_of_a_probe_is_logged_and_tried_again(
    uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = with_health(NOWHERE, {"timeout_seconds": 20.0})
    away(app)
    client = app.test_client()
    assert client.get("/readyz").status_code == 503
    assert "not connected: could not connect 'default'" in caplog.text
    app.config["MONGODB_URI"] = uri
    assert client.get("/readyz").status_code == 200


def test_bad_settings_make_an_application_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    app = with_health(None, {})
    assert app.test_client().get("/readyz").status_code == 503
    assert "MONGODB_URI is not set" in caplog.text


def test_a_probe_leaves_connecting_to_an_application_that_does_it_itself(uri: str) -> None:
    app = application(uri)
    DataLayer(app, connect="never")
    app.register_blueprint(health_blueprint())
    assert app.test_client().get("/readyz").status_code == 503
    assert registry.aliases() == []


def test_the_blueprint_works_without_the_extension(uri: str) -> None:
    app = Flask("shop")
    app.register_blueprint(health_blueprint())
    assert app.test_client().get("/readyz").status_code == 503


def test_the_prefix_is_an_option(uri: str) -> None:
    app = with_health(uri, {"url_prefix": "/internal"})
    client = app.test_client()
    codes = [client.get(path).status_code for path in ("/internal/livez", "/livez")]
    assert codes == [200, 404]


def test_only_reading_is_allowed(uri: str) -> None:
    client = with_health(uri, {}).test_client()
    assert client.post("/readyz").status_code == 405
    assert client.head("/livez").status_code == 200


def test_nobody_sees_details_without_a_token(uri: str) -> None:
    client = with_health(uri, {}).test_client()
    assert client.get("/status").status_code == 403
    assert set(client.get("/readyz").json) == {"status"}


@pytest.mark.parametrize("place", ["argument", "configuration", "environment"])
def test_the_token_opens_the_details(
    uri: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv("DATALAYER_STATUS_TOKEN", TOKEN)
    options = {"token": TOKEN} if place == "argument" else {}
    config = {"DATALAYER_STATUS_TOKEN": TOKEN} if place == "configuration" else {}
    client = with_health(uri, {"timeout_seconds": 20.0, **options}, **config).test_client()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert "checks" in client.get("/readyz", headers=headers).json
    assert client.get("/status.json", headers=headers).json["databases"]["default"]["connected"]
    assert client.get("/status").status_code == 401


def test_a_browser_brings_the_token_as_a_password(uri: str) -> None:
    client = with_health(uri, {"token": TOKEN, "timeout_seconds": 20.0}).test_client()
    basic = b64encode(f"anybody:{TOKEN}".encode()).decode()
    response = client.get("/status", headers={"Authorization": f"Basic {basic}"})
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_a_short_token_is_refused_when_the_blueprint_is_registered(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="fewer than 16 characters"):
        with_health(uri, {"token": "short"})


def test_the_application_s_own_login_opens_the_details(uri: str) -> None:
    options = {"authorise": lambda: request.args.get("who") == "admin", "timeout_seconds": 20.0}
    client = with_health(uri, options).test_client()
    codes = [client.get(path).status_code for path in ("/status?who=admin", "/status?who=eve")]
    assert codes == [200, 403]


def test_a_login_that_can_t_be_asked_is_a_no(uri: str) -> None:
    def authorise() -> bool:
        raise UnavailableError("the server is away")

    client = with_health(uri, {"authorise": authorise, "timeout_seconds": 20.0}).test_client()
    assert (client.get("/status").status_code, client.get("/readyz").status_code) == (403, 200)


def test_a_login_has_as_long_as_the_databases_for_their_pings(uri: str) -> None:
    left = []
    options = {"authorise": lambda: left.append(_csot.remaining()), "timeout_seconds": 20.0}
    with_health(uri, options).test_client().get("/readyz")
    assert 10 < left[0] <= 20


def test_an_error_in_the_application_s_login_is_not_hidden(uri: str) -> None:
    app = with_health(uri, {"authorise": lambda: {}["missing"]}, TESTING=True)
    with pytest.raises(KeyError):
        app.test_client().get("/status")


# The command


def flask(
    *words: str, environment: dict[str, str], **options: Any
) -> subprocess.CompletedProcess[str]:
    words = ("-m", "flask", "--app", "flask_application", *words)
    return python(*words, cwd=PROGRAMS, environment=environment, **options)


def command(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["datalayer", *words])


def test_the_command_takes_the_application_s_settings(uri: str, database_name: str) -> None:
    app = application(uri, "flask_applications")
    DataLayer(app)
    done = command(app, "status", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["default"]["database"] == database_name


def test_the_command_s_own_options_go_before(uri: str, database_name: str) -> None:
    app = application(NOWHERE, "flask_applications")
    DataLayer(app)
    done = command(app, "ping", "--uri", uri, "--count", "1", "--json")
    assert done.exit_code == 0, done.stderr


def test_the_command_applies_the_application_s_migrations(uri: str, tmp_path: Path) -> None:
    (tmp_path / "0001_nothing.py").write_text("def apply(m): pass\n")
    app = application(uri, "flask_applications", DATALAYER_MIGRATIONS=str(tmp_path))
    DataLayer(app)
    assert command(app, "migrations", "check").exit_code == 3
    done = command(app, "migrations", "apply", "--yes")
    assert done.exit_code == 0, done.stderr
    assert command(app, "migrations", "check").exit_code == 0


def test_a_worker_that_needs_a_migration_joins_once_it_is_applied(
    uri: str, tmp_path: Path
) -> None:
    (tmp_path / "0001_nothing.py").write_text("def apply(m): pass\n")
    needs = {"DATALAYER_MIGRATIONS": str(tmp_path), "DATALAYER_STATUS_TOKEN": TOKEN}
    app = application(
        uri, "flask_applications", DATALAYER_MIGRATIONS_AT_CONNECT="require", **needs
    )
    DataLayer(app)
    app.register_blueprint(health_blueprint())
    token = {"Authorization": f"Bearer {TOKEN}"}
    answer = app.test_client().get("/readyz", headers=token)
    assert answer.status_code == 503
    assert "not applied: 0001_nothing" in json.loads(answer.data)["notes"][0]
    other = application(uri, "flask_applications", **needs)
    DataLayer(other)
    assert command(other, "migrations", "apply", "--yes").exit_code == 0
    assert app.test_client().get("/readyz", headers=token).status_code == 200


def test_the_command_s_help_names_it_as_it_is_called() -> None:
    app = application(None, "flask_applications")
    DataLayer(app)
    done = command(app, "--help")
    assert (done.exit_code, done.stdout.splitlines()[0][:23]) == (0, "usage: flask datalayer ")


def test_wrong_settings_end_the_command_with_2() -> None:
    app = application(None, "flask_applications", MONGODB_SLOW_MS="slow")
    DataLayer(app)
    done = command(app, "config")
    assert done.exit_code == 2
    assert "MONGODB_URI is not set" in done.stderr
    assert "MONGODB_SLOW_MS" in done.stderr


def test_the_command_knows_the_application_s_models(uri: str) -> None:
    app = application(uri, "flask_applications")
    DataLayer(app)
    done = command(app, "indexes", "diff", "--json")
    assert "datalayer.models" not in done.stderr
    assert Note._get_collection_name() in done.stdout


def test_dropping_indexes_wants_the_models_named(uri: str) -> None:
    app = application(uri, "flask_applications")
    DataLayer(app)
    done = command(app, "indexes", "sync", "--drop")
    assert done.exit_code == 2
    assert "--models" in done.stderr


# Processes


def test_without_flask_the_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['flask'] = None; import datalayer.contrib.flask"
    done = python("-c", program)
    assert 'pip install "mongoengine-datalayer[flask]"' in done.stderr


@pytest.fixture
def environment(uris: dict[str, str]) -> dict[str, str]:
    return {**uris, "FLASK_SKIP_DOTENV": "1"}


@pytest.mark.parametrize("words", [["--help"], ["routes"], ["connected"]], ids=" ".join)
@pytest.mark.parametrize("connect", ["first_request", "now"])
def test_commands_of_flask_connect_to_nothing(words: list[str], connect: str) -> None:
    done = flask(*words, environment={"MONGODB_URI": NOWHERE, "FLASK_TEST_CONNECT": connect})
    assert done.returncode == 0, done.stderr
    if words == ["connected"]:
        assert done.stdout == "[] False\n"


def test_commands_of_flask_need_no_settings() -> None:
    assert flask("routes", environment={}).returncode == 0


def test_the_command_in_a_process_of_its_own(environment: dict[str, str]) -> None:
    done = flask("datalayer", "ping", "--count", "1", "--json", environment=environment)
    assert (done.returncode, list(json.loads(done.stdout))) == (0, ["default", "database1"])


def test_the_shell_is_connected(environment: dict[str, str]) -> None:
    told = "print('connected', db.database.is_connected)\n"
    done = flask("shell", environment=environment, input=told)
    assert "connected True" in done.stdout, done.stderr


def gunicorn(*options: str) -> Any:
    def words(port: int) -> list[str]:
        line = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads"]
        return [sys.executable, *line, "2", *options, "flask_application:create_app()"]

    return words


def flask_run(port: int) -> list[str]:
    line = [sys.executable, "-m", "flask", "--app", "flask_application", "--debug", "run"]
    return [*line, "--port", str(port)]


def stored(environment: dict[str, str]) -> int:
    with MongoClient[dict[str, Any]](environment["MONGODB_URI"]) as client:
        return client.get_default_database()["deeds"].count_documents({})


def started(server: Running) -> None:
    wait_until(server.answers, 60, "it answers")


@pytest.mark.parametrize(
    ("options", "connect"),
    [([], "first_request"), (["--preload"], "first_request"), (["--preload"], "now")],
)
def test_workers_of_gunicorn_have_connections_of_their_own(
    environment: dict[str, str], tmp_path: Path, options: list[str], connect: str
) -> None:
    environment |= {"FLASK_TEST_CONNECT": connect}
    with running(gunicorn(*options), environment, tmp_path) as server:
        started(server)
        reports = [server.ask("/work") for _ in range(20)]
        server.stop()
    assert "Error" not in server.said
    connections: dict[int, set[int]] = {}
    for report in reports:
        for each in report["connections"]:
            connections.setdefault(each, set()).add(report["pid"])
    assert {len(pids) for pids in connections.values()} == {1}


def test_the_hooks_of_gunicorn_take_what_the_application_has_connected_with(
    environment: dict[str, str], tmp_path: Path
) -> None:
    given = {name: environment.pop(name) for name in ("MONGODB_URI", "DATABASE1_URI")}
    environment |= {"FLASK_TEST_CONNECT": "now", "IN_THE_CONFIGURATION": json.dumps(given)}
    hooks = ("--config", "python:datalayer.contrib.gunicorn")
    with running(gunicorn(*hooks), environment, tmp_path) as server:
        started(server)
        assert server.ask("/work")["connections"]
        server.stop()
    assert "Error" not in server.said


def test_what_was_recorded_is_stored_when_the_server_ends(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"DATALAYER_RECORDER_INTERVAL_MS": "60000"}
    with running(gunicorn(), environment, tmp_path) as server:
        started(server)
        before = stored(environment)
        for _ in range(10):
            server.ask("/record")
        server.stop()
    assert stored(environment) == before + 10


def test_the_reloader_s_parent_connects_to_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(flask_run, environment, tmp_path) as server:
        started(server)
        serving = server.ask("/work")["pid"]
        parent = server.process.pid
        server.process.send_signal(signal.SIGINT)
        server.process.wait(60)
    connected = re.findall(r"^connected in (\d+)$", server.said, re.MULTILINE)
    assert serving != parent
    assert connected == [str(serving)]
