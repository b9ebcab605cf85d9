"""The hooks of gunicorn, in its real workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import pytest
from canaries import found_in
from faulty_proxy import FaultyProxy
from fresh_databases import connected, settings_for
from running_servers import Running, running
from served import (
    SECONDS,
    assert_answers_503_once,
    assert_nothing_lost,
    connections_of,
    environment_for,
    load,
    workers_of,
)
from waiting import wait_until

from datalayer import db
from datalayer.contrib import workers
from datalayer.contrib.gunicorn import post_worker_init, worker_exit
from datalayer.embedded import EmbeddedMongo

pytestmark = pytest.mark.applications

WORKERS = 2
KINDS = {
    "sync": (),
    "gthread": ("--threads", "4"),
    "gthread --preload": ("--threads", "4", "--preload"),
}


def gunicorn(*options: str) -> Callable[[int], list[str]]:
    def words(port: int) -> list[str]:
        line = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
        line += ["--config", "gunicorn_hooks.py", "--workers", str(WORKERS)]
        return [*line, *options, "served_application:application"]

    return words


@pytest.fixture
def environment(mongod: EmbeddedMongo, database_name: str) -> dict[str, str]:
    return environment_for(mongod.uri_for(database_name), mongod.uri_for(f"{database_name}_1"))


@pytest.fixture(params=KINDS)
def server(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[Running]:
    if "--preload" in KINDS[request.param]:
        environment["CONNECT_AT_IMPORT"] = "yes"
    with running(gunicorn(*KINDS[request.param]), environment, tmp_path) as server:
        wait_until(lambda: server.said.count("Booting worker") >= WORKERS, SECONDS, "no workers")
        wait_until(lambda: server.answers("/state"), SECONDS, "gunicorn does not answer")
        yield server


def test_a_worker_has_open_pools_before_its_first_request(server: Running) -> None:
    for _ in range(2 * WORKERS):
        assert all(server.ask("/state")["open"])


@pytest.mark.parametrize("server", ["sync"], indirect=True)
def test_an_error_that_is_temporary_becomes_503(server: Running) -> None:
    assert_answers_503_once(server)


def test_nothing_is_lost_when_it_is_reloaded_and_stopped_under_load(
    server: Running, environment: dict[str, str]
) -> None:
    before = workers_of(server, WORKERS)
    with load(server) as busy:
        busy.wait_for(150)
        server.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: len({each["pid"] for each in busy.reports[-40:]} - before) == WORKERS,
            SECONDS,
            "the workers were not replaced",
        )
        busy.wait_for(150)
    assert busy.errors == []
    server.stop()
    assert server.process.returncode == 0
    assert "Traceback" not in server.said
    assert_nothing_lost(busy.reports, environment)
    wait_until(lambda: connections_of(environment) == 0, SECONDS, "connections stay open")


@pytest.mark.parametrize("server", ["gthread"], indirect=True)
def test_the_connections_of_replaced_workers_are_closed(
    server: Running, environment: dict[str, str]
) -> None:
    before = workers_of(server, WORKERS)
    with load(server) as busy:
        busy.wait_for(40)
    at_most = connections_of(environment)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & workers_of(server, WORKERS), SECONDS, "no new workers")
    wait_until(lambda: connections_of(environment) <= at_most, SECONDS, "connections stay open")


@pytest.mark.parametrize("server", ["sync", "gthread --preload"], indirect=True)
def test_a_killed_worker_is_replaced_by_a_connected_one(
    server: Running, environment: dict[str, str]
) -> None:
    before = workers_of(server, WORKERS)
    killed = before.pop()
    os.kill(killed, signal.SIGKILL)
    with load(server) as busy:
        wait_until(
            lambda: {each["pid"] for each in busy.reports} - before - {killed},
            SECONDS,
            "no worker took its place",
        )
    assert busy.errors == []
    assert before & {each["pid"] for each in busy.reports} == before
    server.stop()
    assert_nothing_lost(busy.reports, environment)


# A database that is away


@pytest.fixture
def proxy(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy


def test_gunicorn_ends_and_says_why_when_a_worker_can_not_connect(
    proxy: FaultyProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    proxy.refuse()
    environment["MONGODB_URI"] = proxy.uri_for("app").replace("://", "://app:canary@")
    environment["MONGODB_RETRY_MAX_SECONDS"] = "1"
    # A second worker that fails while gunicorn ends lets gunicorn end with 1.
    with running(gunicorn("--workers", "1"), environment, tmp_path) as server:
        wait_until(lambda: server.process.poll() is not None, SECONDS, "gunicorn does not end")
        assert server.process.returncode == 3
        assert "Worker failed to boot" in server.said
        assert f"127.0.0.1:{proxy.port}" in server.said
        assert found_in(server.said) is None


@pytest.mark.slow
def test_a_worker_that_waits_for_its_database_is_not_taken_for_dead(
    proxy: FaultyProxy, environment: dict[str, str], database_name: str, tmp_path: Path
) -> None:
    proxy.refuse()
    environment["MONGODB_URI"] = proxy.uri_for(database_name)
    patience = 1
    with running(gunicorn("--timeout", str(patience)), environment, tmp_path) as server:
        wait_until(lambda: "Booting worker" in server.said, SECONDS, "no worker")
        started = monotonic()
        wait_until(lambda: monotonic() - started > 4 * patience, SECONDS, "time stands still")
        proxy.restore()
        wait_until(lambda: server.answers("/state"), SECONDS, "it does not start")
        assert "WORKER TIMEOUT" not in server.said


# The hooks themselves


def test_the_master_stays_connected_when_it_tells_of_a_worker_that_is_gone(
    mongod: EmbeddedMongo,
) -> None:
    with connected(settings_for(mongod)):
        worker_exit(None, SimpleNamespace(pid=os.getpid() + 1))
        assert db.database.is_connected
        worker_exit(None, SimpleNamespace(pid=os.getpid()))
        assert not db.database.is_connected


def test_the_first_worker_has_the_pools_of_all_judged(
    mongod: EmbeddedMongo, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    monkeypatch.setattr("datalayer.contrib.workers.check_pool_budget", judged.append)
    with connected(settings_for(mongod)):
        for age in (1, 2, 3):
            cfg = SimpleNamespace(workers=3)
            post_worker_init(SimpleNamespace(age=age, cfg=cfg))
    assert judged == [3]


def test_pools_that_the_server_has_no_room_for_are_logged(
    mongod: EmbeddedMongo, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(settings_for(mongod)):
        workers.check_pool_budget(1_000_000)
        wait_until(lambda: budget_of(caplog), SECONDS, "nobody warns")
        assert "1000000 processes" in budget_of(caplog)[0]
        caplog.clear()
        workers.check_pool_budget(2)
        wait_until(
            lambda: all(each.name != "datalayer-budget" for each in threading.enumerate()),
            SECONDS,
            "the judgement does not end",
        )
        assert budget_of(caplog) == []


def budget_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if getattr(record, "event", None) == "pool_budget"
    ]
