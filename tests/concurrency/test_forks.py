"""Processes that were forked after connecting: each works with a pool of its own, and its parent
goes on undisturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from paths import PROGRAMS
from pymongo import MongoClient
from running_programs import installed, report_of
from running_servers import Running, running
from waiting import wait_until

from datalayer.embedded import EmbeddedMongo

START_SECONDS = 120.0
FORKS = 200
# Python 3.12 and later warn of every fork in a process with threads.
WARNINGS = "error,ignore:This process:DeprecationWarning"

Report = dict[str, Any]


@pytest.fixture
def environment(uris: dict[str, str]) -> dict[str, str]:
    return {**uris, "PYTHONWARNINGS": WARNINGS}


def assert_parted(reports: Sequence[Report]) -> None:
    """No id twice, and nothing that two processes have in common."""
    ids = [id for report in reports for id in report["ids"]]
    assert len(set(ids)) == len(ids)
    random_part_of: dict[int, set[bytes]] = {}
    process_of: dict[int, set[int]] = {}
    for report in reports:
        parts = {ObjectId(id).binary[4:9] for id in report["ids"]}
        random_part_of.setdefault(report["pid"], set()).update(parts)
        for connection in report["connections"]:
            process_of.setdefault(connection, set()).add(report["pid"])
    # The driver draws five random bytes for the ids of each process.
    assert {len(parts) for parts in random_part_of.values()} == {1}
    assert len(set().union(*random_part_of.values())) == len(random_part_of)
    assert {len(pids) for pids in process_of.values()} == {1}


def stored(environment: dict[str, str]) -> int:
    """How many documents there are."""
    count = 0
    for variable, collection in (("MONGODB_URI", "deeds"), ("DATABASE1_URI", "traces")):
        with MongoClient[dict[str, Any]](environment[variable]) as client:
            count += client.get_default_database()[collection].count_documents({})
    return count


# Processes of the application's own


@pytest.mark.slow
def test_200_forks_under_4_busy_threads(environment: dict[str, str]) -> None:
    report = report_of("forking.py", environment, str(FORKS))
    children = report["children"]
    assert (len(children), children.count(None)) == (FORKS, 0)
    assert [child for child in children if "failed" in child] == []
    assert len({child["pid"] for child in children}) == FORKS
    assert_parted(children + report["parent"])
    assert stored(environment) == sum(len(each["ids"]) for each in children + report["parent"])
    assert report["errors"] == []
    assert (report["closed"], report["failed"]) == ([0, 0], [0, 0])
    assert report["connected"] == [True, True]


def test_a_pool_of_multiprocessing(environment: dict[str, str]) -> None:
    report = report_of("pooled.py", environment)
    parents = {each["pid"] for each in report["parent"]}
    children = {each["pid"] for each in report["children"]}
    assert (len(parents), len(children), parents & children) == (1, 4, set())
    assert_parted(report["parent"] + report["children"])


def test_a_child_is_told_when_its_database_goes_away() -> None:
    with EmbeddedMongo(in_memory=True, journal=False) as server:
        environment = {**os.environ, "MONGODB_URI": server.uri_for("app")}
        with subprocess.Popen(
            [sys.executable, "telling.py", "unavailable"],
            cwd=PROGRAMS,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            server.kill(0)
            assert process.stdout.readline() == "unavailable\n"


@pytest.mark.parametrize("way", ["with_handlers", "without_handlers"])
def test_threads_of_a_child_that_begin_at_the_same_moment_share_nothing_with_the_parent(
    environment: dict[str, str], way: str
) -> None:
    report = report_of("forking_threads.py", environment, way)
    assert len({child["pid"] for child in report["children"]}) == 10
    assert_parted(report["parent"] + report["children"])


# Application servers


def gunicorn(*options: str) -> Any:
    def words(port: int) -> list[str]:
        line = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "3", "--threads"]
        return [sys.executable, *line, "2", *options, "wsgi_application:application"]

    return words


def uwsgi(*options: str) -> Any:
    program = installed("uwsgi")
    if not program.exists():
        pytest.skip("uWSGI is not installed; it is built from source and needs a C compiler")

    def words(port: int) -> list[str]:
        line = [str(program), "--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "3"]
        line += ["--home", sys.prefix, "--wsgi-file", "wsgi_application.py", "--die-on-term"]
        return [*line, "--need-app", *options]

    return words


SERVERS = {
    "gunicorn": gunicorn,
    "gunicorn --preload": lambda: gunicorn("--preload"),
    "uwsgi": uwsgi,
    "uwsgi --enable-threads": lambda: uwsgi("--enable-threads", "--threads", "2"),
    "uwsgi --lazy-apps": lambda: uwsgi("--enable-threads", "--lazy-apps"),
    "uwsgi --py-call-uwsgi-fork-hooks": lambda: uwsgi(
        "--enable-threads", "--py-call-uwsgi-fork-hooks"
    ),
}


@pytest.fixture(params=SERVERS)
def server(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[Running]:
    with running(SERVERS[request.param](), environment, tmp_path) as server:
        wait_until(server.answers, START_SECONDS, f"{request.param} does not answer")
        yield server


def test_the_workers_of_a_server_part(server: Running) -> None:
    with ThreadPoolExecutor(8) as callers:
        reports = list(callers.map(server.ask, ["/work"] * 200))
    assert len({report["pid"] for report in reports}) == 3
    assert_parted(reports)
    server.stop()
    assert "arning" not in server.said
    assert "Traceback" not in server.said


def test_a_request_under_way_is_answered_when_gunicorn_is_told_to_end(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(gunicorn("--preload"), environment, tmp_path) as server:
        wait_until(server.answers, START_SECONDS, "gunicorn does not answer")
        with ThreadPoolExecutor(1) as caller, MongoClient(environment["MONGODB_URI"]) as client:
            answer = caller.submit(server.ask, "/slow")
            running_now = {"active": True, "command.find": "deeds"}
            wait_until(
                lambda: list(
                    client.admin.aggregate([{"$currentOp": {}}, {"$match": running_now}])
                ),
                START_SECONDS,
                "the slow request does not begin",
            )
            server.stop()
            assert answer.result() == {"found": 3}
        assert server.process.returncode == 0
        assert "Traceback" not in server.said


def test_the_workers_of_celery_part(environment: dict[str, str], tmp_path: Path) -> None:
    environment["CELERY_DIRECTORY"] = str(tmp_path)
    for name in ("messages", "control", "results"):
        (tmp_path / name).mkdir()
    line = [sys.executable, "-m", "celery", "--app", "celery_application", "worker"]
    line += ["--pool", "prefork", "--concurrency", "3", "--without-gossip"]
    line += ["--without-mingle", "--loglevel", "INFO"]
    # It warns of being run by root, as continuous integration does.
    quiet = {**environment, "PYTHONWARNINGS": f"{WARNINGS},ignore::Warning:celery.platforms"}
    with running(lambda _: line, quiet, tmp_path) as server:
        wait_until(lambda: "ready." in server.said, START_SECONDS, "Celery does not start")
        reports = report_of("celery_calls.py", environment, "60")
        assert len({report["pid"] for report in reports}) == 3
        assert_parted(reports)
        assert stored(environment) == sum(len(report["ids"]) for report in reports)
        server.stop()
        assert server.process.returncode == 0
        assert "arning" not in server.said
        assert "Traceback" not in server.said


def test_embedded_servers_of_a_server_that_embeds_python(tmp_path: Path) -> None:
    environment = {"MONGODB_URI": "embedded://app", "PYTHONWARNINGS": WARNINGS}
    environment["TMPDIR"] = str(tmp_path / "servers")
    (tmp_path / "servers").mkdir()
    with running(uwsgi(), environment, tmp_path) as server:
        wait_until(server.answers, START_SECONDS, "uWSGI does not answer")
        assert_parted([server.ask("/work") for _ in range(20)])
        server.stop()
    wait_until(lambda: not list((tmp_path / "servers").iterdir()), 5, "the server's files stay")
