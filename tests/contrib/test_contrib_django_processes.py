"""Django as it is run: ``manage.py`` and its commands, runserver, gunicorn, and test runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import pytest
from paths import PROGRAMS
from ports import SilentServer
from pymongo import MongoClient
from running_programs import installed, python
from running_servers import running
from waiting import wait_until

from datalayer.embedded import EmbeddedMongo

pytestmark = pytest.mark.applications

MANAGE = str(PROGRAMS / "django_site" / "manage.py")
SITE = "django_site.wsgi:application"
WARNINGS = ["-W", "error", "-W", "ignore:This process:DeprecationWarning"]
START_SECONDS = 60.0
START_METHODS = ["fork", "spawn", *(["forkserver"] if django.VERSION >= (6, 0) else [])]


@pytest.fixture
def environment(uris: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {
        "SITE_DATALAYER": json.dumps(uris),
        "SITE_SQLITE": str(tmp_path / "site.sqlite3"),
        "DJANGO_SETTINGS_MODULE": "django_site.settings",
        "PYTHONPATH": str(PROGRAMS),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return python(MANAGE, *words, cwd=PROGRAMS, environment=environment)


# Commands


@pytest.mark.parametrize("command", [["check"], ["check", "--deploy"], ["migrate"], ["help"]])
def test_a_command_of_djangos_asks_no_mongodb(
    command: list[str], environment: dict[str, str], silent_server: SilentServer
) -> None:
    environment["SITE_DATALAYER"] = json.dumps({"MONGODB_URI": silent_server.uri})
    done = manage(environment, *command)
    assert done.returncode == 0, done.stderr
    assert silent_server.connections() == 0


def test_wrong_settings_end_a_command_with_all_problems(environment: dict[str, str]) -> None:
    environment["SITE_DATALAYER"] = json.dumps({"MONGODB_MAX_POOL_SIZE": "many"})
    done = manage(environment, "check")
    assert done.returncode == 1
    assert "(datalayer.E001) MONGODB_URI is not set" in done.stderr
    assert "(datalayer.E001) MONGODB_MAX_POOL_SIZE must be a whole number" in done.stderr


def test_a_command_passes_its_exit_code_on(environment: dict[str, str]) -> None:
    environment["SITE_DATALAYER"] = json.dumps({"MONGODB_URI": "mongodb://127.0.0.1:9/away"})
    done = manage(environment, "datalayer_status", "--timeout", "0.5", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["default"]["state"] == "unavailable"
    assert "Traceback" not in done.stderr


def test_indexes_are_built_for_the_models_of_the_project_only(
    environment: dict[str, str], mongod: EmbeddedMongo, database_name: str
) -> None:
    done = manage(environment, "datalayer_indexes", "sync")
    assert done.returncode == 0, done.stderr
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        assert client[database_name].list_collection_names() == ["notes"]


def test_a_command_says_how_it_is_called(environment: dict[str, str]) -> None:
    done = manage(environment, "datalayer_ping", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: manage.py datalayer ping")


# Servers


def connections_of(process: int, port: int) -> int:
    """How many connections to ``port`` on this machine a process holds."""
    inodes = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        try:
            inodes.add(os.readlink(descriptor))
        except OSError:
            continue  # closed meanwhile
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(row[2].partition(":")[2], 16) == port and f"socket:[{row[9]}]" in inodes
        for row in rows
    )


def children_of(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(word) for word in path.read_text().split()]


def port_of(mongod: EmbeddedMongo) -> int:
    return int(mongod.hosts[0].rpartition(":")[2])


def gunicorn(port: int) -> list[str]:
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--preload"]
    return [sys.executable, *WARNINGS, str(installed("gunicorn")), *options, SITE]


def uwsgi(port: int) -> list[str]:
    options = ["--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "2"]
    more = ["--need-app", "--enable-threads", "--die-on-term", "--home", sys.prefix]
    return [str(installed("uwsgi")), *options, *more, "--module", SITE]


SERVERS = [gunicorn, *([uwsgi] if installed("uwsgi").exists() else [])]


@pytest.mark.parametrize("serving", SERVERS)
def test_the_workers_of_a_server_connect_and_their_parent_does_not(
    serving: Callable[[int], list[str]],
    environment: dict[str, str],
    mongod: EmbeddedMongo,
    tmp_path: Path,
) -> None:
    port = port_of(mongod)
    with running(serving, environment, tmp_path) as server:
        wait_until(lambda: server.answers("/livez"), START_SECONDS, "it does not answer")
        parent = server.process.pid
        wait_until(lambda: len(children_of(parent)) == 2, START_SECONDS, "both workers are there")
        workers = children_of(parent)
        assert [connections_of(each, port) for each in workers] == [0, 0]
        asked: set[int] = set()
        wait_until(
            lambda: asked.add(server.ask("/work")["process"]) or asked == set(workers),
            START_SECONDS,
            "both workers answer",
        )
        assert connections_of(parent, port) == 0
        assert all(connections_of(each, port) > 0 for each in workers)
        server.stop()
    assert "Traceback" not in server.said
    assert "Error" not in server.said


def test_a_request_uses_the_orm_and_mongodb_beside_each_other(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert manage(environment, "migrate").returncode == 0
    with running(gunicorn, environment, tmp_path) as server:
        wait_until(lambda: server.answers("/livez"), START_SECONDS, "it does not answer")
        server.ask("/both")
        told = server.ask("/both")
    assert told == {"notes": ["user-0", "user-1"], "users": ["user-0", "user-1"]}


def test_the_parent_of_runservers_reloader_connects_to_nothing(
    environment: dict[str, str], mongod: EmbeddedMongo, tmp_path: Path
) -> None:
    def runserver(port: int) -> list[str]:
        return [sys.executable, MANAGE, "runserver", "--skip-checks", f"127.0.0.1:{port}"]

    port = port_of(mongod)
    with running(runserver, environment, tmp_path) as server:
        try:
            wait_until(lambda: server.answers("/livez"), START_SECONDS, "it does not answer")
            (child,) = children_of(server.process.pid)
            assert server.ask("/work")["process"] == child
            assert connections_of(server.process.pid, port) == 0
            assert connections_of(child, port) > 0
        finally:
            server.stop()  # the reloader ends its child


# Test runs


@pytest.fixture
def tested(environment: dict[str, str]) -> dict[str, str]:
    """The project with a setting and an alias more, and no server to test on."""
    more = {"MONGODB_MAX_POOL_SIZE": 7, "DATALAYER_ALIASES": "archive"}
    environment["SITE_DATALAYER"] = json.dumps(more)
    return environment


def test_each_test_finds_its_databases_empty(tested: dict[str, str]) -> None:
    environment = dict(tested, MONGODB_URI="mongodb://127.0.0.1:9/away")
    done = manage(environment, "test", "django_site.checked.Fresh")
    assert done.returncode == 0, done.stderr
    assert "Ran 5 tests" in done.stderr


@pytest.mark.parametrize("method", START_METHODS)
def test_processes_that_test_side_by_side_have_databases_of_their_own(
    method: str, tested: dict[str, str], tmp_path: Path
) -> None:
    environment = dict(tested, MEETING_PLACE=str(tmp_path), SITE_START_METHOD=method)
    labels = ["django_site.checked.Meeting", "django_site.checked.Other"]
    done = manage(environment, "test", "--parallel", "2", *labels)
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


@pytest.mark.parametrize(
    ("processes", "label"), [("1", "django_site.checked.Fresh"), ("2", "django_site.checked")]
)
def test_nothing_is_left_on_a_server_of_ones_own(
    processes: str,
    label: str,
    tested: dict[str, str],
    mongod: EmbeddedMongo,
    database_name: str,
    tmp_path: Path,
) -> None:
    environment = dict(tested, MEETING_PLACE=str(tmp_path))
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[database_name]["kept"].insert_one({})
        before = client.list_database_names()
        words = ["--datalayer-uri", mongod.uri_for(database_name), "--parallel", processes]
        done = manage(environment, "test", *words, label)
        assert done.returncode == 0, done.stderr
        assert client.list_database_names() == before
        assert client[database_name].list_collection_names() == ["kept"]


def test_a_wrong_server_for_the_tests_is_told_without_its_password(
    tested: dict[str, str],
) -> None:
    uri = "mongodb://ann:hunter2hunter2@host:1"
    done = manage(tested, "test", "--datalayer-uri", uri, "django_site.checked")
    assert done.returncode == 1
    assert "CommandError: --datalayer-uri" in done.stderr
    assert "hunter2" not in done.stderr


# Without Django


def test_a_machine_without_django_is_told_what_to_install() -> None:
    program = "import sys; sys.modules['django'] = None; import datalayer.contrib.django"
    done = python("-c", program)
    assert done.returncode == 1
    assert 'ImportError: datalayer.contrib.django needs Django: pip install "mongo' in done.stderr
