"""The hooks of uWSGI, in its real workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from running_programs import installed
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

from datalayer.embedded import EmbeddedMongo

WORKERS = 2
KINDS = {
    "processes": ("--enable-threads",),
    "threads": ("--threads", "2"),
    "lazy-apps": ("--enable-threads", "--lazy-apps"),
    "gevent": ("--gevent", "50", "--gevent-early-monkey-patch"),
}
pytestmark = [
    pytest.mark.applications,
    pytest.mark.skipif(
        not installed("uwsgi").exists(),
        reason="uWSGI is not installed; it is built from source and needs a C compiler",
    ),
]


IN_ORDER = ("--hook-master-start", "unix_signal:15 gracefully_kill_them_all")
IN_ORDER_ALONE = ("--hook-accepting", "unix_signal:15 gracefully_kill")


def uwsgi(
    *options: str,
    master: bool = True,
    at_sigterm: tuple[str, ...] = IN_ORDER,
    application: str = "uwsgi_application.py",
) -> Callable[[int], list[str]]:
    def words(port: int) -> list[str]:
        line = [str(installed("uwsgi")), "--http-socket", f"127.0.0.1:{port}", "--need-app"]
        line += [
            "--binary-path",
            sys.executable,
            "--home",
            sys.prefix,
            "--wsgi-file",
            application,
        ]
        if master:
            line += ["--master", "--processes", str(WORKERS)]
        return [*line, *at_sigterm, *options]

    return words


@pytest.fixture
def environment(mongod: EmbeddedMongo, database_name: str) -> dict[str, str]:
    return environment_for(mongod.uri_for(database_name), mongod.uri_for(f"{database_name}_1"))


@pytest.fixture(params=KINDS)
def server(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[Running]:
    with running(uwsgi(*KINDS[request.param]), environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        yield server


def test_a_worker_has_open_pools_before_its_first_request(server: Running) -> None:
    for _ in range(2 * WORKERS):
        assert all(server.ask("/state")["open"])


@pytest.mark.parametrize("server", ["processes"], indirect=True)
def test_an_error_that_is_temporary_becomes_503(server: Running) -> None:
    assert_answers_503_once(server)


def test_nothing_is_lost_when_it_is_stopped_under_load(
    server: Running, environment: dict[str, str]
) -> None:
    with load(server) as busy:
        busy.wait_for(300)
    assert busy.errors == []
    server.stop()
    assert "Traceback" not in server.said
    assert_nothing_lost(busy.reports, environment)
    wait_until(lambda: connections_of(environment) == 0, SECONDS, "connections stay open")


def test_nothing_is_lost_when_it_is_stopped_while_it_answers(
    server: Running, environment: dict[str, str]
) -> None:
    workers_of(server, WORKERS)  # uWSGI forgets what one is told that has not begun
    reports: list[dict[str, Any]] = []
    enough = threading.Event()

    def ask() -> None:
        with suppress(OSError, HTTPException):  # it is gone
            while not enough.is_set():
                reports.append(server.ask("/work"))

    callers = [threading.Thread(target=ask) for _ in range(6)]
    for caller in callers:
        caller.start()
    wait_until(lambda: len(reports) > 100, SECONDS, "it does not answer")
    server.process.terminate()
    at_the_end = len(reports)
    wait_until(
        lambda: len(reports) > at_the_end + 6 or not any(each.is_alive() for each in callers),
        SECONDS,
        "nobody is answered, and nobody is refused",
    )
    enough.set()
    for caller in callers:
        caller.join(SECONDS)
    server.process.wait(SECONDS)
    assert_nothing_lost(reports, environment)


@pytest.mark.parametrize(
    ("master", "instead"),
    [(True, "gracefully_kill_them_all instead"), (False, "gracefully_kill instead")],
    ids=["with a master", "without"],
)
def test_stopping_at_once_is_told_to_lose_events(
    environment: dict[str, str], tmp_path: Path, master: bool, instead: str
) -> None:
    at_once = uwsgi("--enable-threads", master=master, at_sigterm=("--die-on-term",))
    with running(at_once, environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        assert instead in server.said
        server.stop()


def test_stopping_in_order_needs_no_advice(server: Running) -> None:
    assert "datalayer:" not in server.said


def test_nothing_is_lost_when_it_is_reloaded(server: Running, environment: dict[str, str]) -> None:
    before = workers_of(server, WORKERS)
    with load(server) as busy:
        busy.wait_for(100)
    at_most = connections_of(environment)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.said.count("spawned uWSGI worker") > WORKERS, SECONDS, "no reload")
    wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
    wait_until(lambda: not before & workers_of(server, WORKERS), SECONDS, "no new workers")
    assert_nothing_lost(busy.reports, environment)
    wait_until(lambda: connections_of(environment) <= at_most, SECONDS, "connections stay open")


@pytest.mark.parametrize("server", ["processes"], indirect=True)
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
    assert before <= {each["pid"] for each in busy.reports}
    server.stop()
    assert_nothing_lost(busy.reports, environment)


@pytest.fixture
def alone(environment: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    """A process without a master."""
    words = uwsgi("--enable-threads", master=False, at_sigterm=IN_ORDER_ALONE)
    environment["HELD_UNTIL"] = str(tmp_path / "released")
    with running(words, environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        yield server


def test_without_a_master_the_process_connects_too(
    alone: Running, environment: dict[str, str]
) -> None:
    assert all(alone.ask("/state")["open"])
    assert "datalayer:" not in alone.said
    report = alone.ask("/work")
    alone.stop()
    assert_nothing_lost([report], environment)


def test_without_a_master_a_request_under_way_ends_in_order_too(
    alone: Running, environment: dict[str, str]
) -> None:
    reports: list[dict[str, Any]] = []
    caller = threading.Thread(target=lambda: reports.append(alone.ask("/held")))
    caller.start()
    wait_until(lambda: "holds an answer" in alone.said, SECONDS, "it was not asked")
    alone.process.terminate()
    wait_until(lambda: "Gracefully killing" in alone.said, SECONDS, "it was not told to end")
    Path(environment["HELD_UNTIL"]).touch()
    caller.join(SECONDS)
    alone.process.wait(SECONDS)
    assert len(reports) == 1
    assert_nothing_lost(reports, environment)


@pytest.mark.parametrize("server", ["processes"], indirect=True)
def test_signals_reach_no_thread_of_the_driver_or_the_recorder(server: Running) -> None:
    """uWSGI's handler would end the worker in the middle of it, and wait for it forever."""
    pid = server.ask("/work")["pid"]
    others = [task for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
    assert len(others) > 4
    assert [task.name for task in others if not blocks(task, signal.SIGINT)] == []
    assert not blocks(Path(f"/proc/{pid}"), signal.SIGINT)


def connecting(server: Running) -> int:
    """How many workers hold back what they are told, as they do while they connect."""
    pid = server.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(blocks(Path(f"/proc/{each}"), signal.SIGHUP) for each in workers)


def blocks(task: Path, number: signal.Signals) -> bool:
    lines = (task / "status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("SigBlk:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


# Beside others' hooks


@pytest.mark.parametrize("way", ["plain", "decorators"])
def test_the_applications_own_hooks_run_in_a_connected_worker(
    environment: dict[str, str], tmp_path: Path, way: str
) -> None:
    environment["HOOKS_OF_ITS_OWN"] = way
    with running(uwsgi("--enable-threads"), environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        workers_of(server, WORKERS)
        assert server.said.count("own hook: connected is True") == WORKERS
        server.stop()
        assert server.said.count("own end: connected is True") == WORKERS * (way == "plain")


# What goes wrong


@pytest.fixture
def proxy(
    mongod: EmbeddedMongo, environment: dict[str, str], database_name: str
) -> Iterator[FaultyProxy]:
    """The way to the business database, which is closed."""
    with FaultyProxy(mongod.hosts[0]) as proxy:
        proxy.refuse()
        environment["MONGODB_URI"] = proxy.uri_for(database_name)
        environment["MONGODB_RETRY_MAX_SECONDS"] = "0.5"
        yield proxy


def test_a_worker_that_can_not_connect_takes_no_requests_until_it_can(
    proxy: FaultyProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    with running(uwsgi("--enable-threads"), environment, tmp_path) as server:
        wait_until(lambda: "failed loading app" in server.said, SECONDS, "no worker ends")
        assert "datalayer can't connect this worker: could not connect 'default'" in server.said
        assert f"127.0.0.1:{proxy.port}" in server.said
        proxy.restore()
        wait_until(lambda: server.answers("/state"), SECONDS, "it does not recover")
        assert all(server.ask("/state")["open"])


def test_lazy_applications_that_can_not_connect_end_the_server_where_they_are_needed(
    proxy: FaultyProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    options = ("--enable-threads", "--lazy-apps")
    with running(uwsgi(*options), environment, tmp_path) as server:
        wait_until(lambda: server.process.poll() is not None, SECONDS, "it goes on")
        assert "need-app requested" in server.said
        assert f"127.0.0.1:{proxy.port}" in server.said


def test_a_worker_that_is_told_to_end_while_it_connects_ends(
    proxy: FaultyProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    with running(uwsgi("--enable-threads"), environment, tmp_path) as server:
        wait_until(lambda: f"spawned uWSGI worker {WORKERS}" in server.said, SECONDS, "no worker")
        server.stop()


@pytest.mark.parametrize("kind", ["processes", "lazy-apps"])
def test_a_worker_that_is_told_to_end_before_it_has_connected_ends_then(
    proxy: FaultyProxy, environment: dict[str, str], tmp_path: Path, kind: str
) -> None:
    environment["MONGODB_RETRY_MAX_SECONDS"] = "60"
    with running(uwsgi(*KINDS[kind]), environment, tmp_path) as server:
        # Before, uWSGI forgets what its workers are told.
        wait_until(lambda: connecting(server) == WORKERS, SECONDS, "no workers connect")
        server.process.terminate()
        wait_until(lambda: "graceful shutdown" in server.said, SECONDS, "it is not told to end")
        proxy.restore()
        server.process.wait(60)


@pytest.mark.parametrize(
    ("options", "is_told"), [((), True), (("--py-call-uwsgi-fork-hooks",), False)]
)
def test_connecting_in_the_master_is_told_to_be_unsafe(
    environment: dict[str, str], tmp_path: Path, options: tuple[str, ...], is_told: bool
) -> None:
    environment["CONNECT_AT_IMPORT"] = "1"
    line = uwsgi("--enable-threads", *options, application="served_application.py")
    with running(line, environment, tmp_path) as server:
        wait_until(lambda: f"spawned uWSGI worker {WORKERS}" in server.said, SECONDS, "no worker")
        assert ("set py-call-uwsgi-fork-hooks" in server.said) == is_told


def test_a_server_without_threads_is_told_to_enable_them(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(uwsgi(), environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        assert "enable-threads = true" in server.said
        report = server.ask("/work")
        server.stop()
        assert_nothing_lost([report], environment)


def test_a_server_that_would_patch_after_loading_does_not_start_and_says_what_to_set(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running(
        uwsgi("--gevent", "50", "--gevent-monkey-patch"), environment, tmp_path
    ) as server:
        wait_until(lambda: server.process.poll() is not None, SECONDS, "it goes on")
        assert "set gevent-early-monkey-patch = true instead" in server.said


def test_a_server_whose_greenlets_would_hold_up_each_other_is_told(
    environment: dict[str, str], tmp_path: Path
) -> None:
    line = uwsgi(
        "--gevent",
        "50",
        "--enable-threads",
        "--py-call-uwsgi-fork-hooks",
        application="served_application.py",
    )
    environment["CONNECT_AT_IMPORT"] = "1"
    with running(line, environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        assert server.said.count("datalayer: uWSGI serves with gevent") == 1


def test_an_application_that_connects_by_itself_is_told_of_missing_threads_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    line = uwsgi("--py-call-uwsgi-fork-hooks", application="served_application.py")
    environment["CONNECT_AT_IMPORT"] = "1"
    with running(line, environment, tmp_path) as server:
        wait_until(lambda: server.answers("/state"), SECONDS, "uWSGI does not answer")
        assert "enable-threads = true" in server.said
