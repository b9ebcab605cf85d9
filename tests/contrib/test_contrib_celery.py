"""The hooks of Celery, in its real workers, and the options of tasks that may run again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, signals
from faulty_proxy import FaultyProxy
from paths import PROGRAMS
from pymongo.uri_parser import parse_uri
from running_programs import installed, report_of
from running_servers import Running, running
from served import (
    SECONDS,
    WARNINGS,
    assert_nothing_lost,
    connections_of,
    environment_for,
    stored,
)
from waiting import wait_until

from datalayer.contrib import celery as datalayer_celery
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    AuthenticationError,
    ConnectError,
    OutcomeUnknownError,
    UnavailableError,
)

pytestmark = pytest.mark.applications

PREFORK = ("prefork", "--concurrency", "2")
POOLS = {
    "prefork": PREFORK,
    "threads": ("threads", "--concurrency", "2"),
    "solo": ("solo",),
    "gevent": ("gevent", "--concurrency", "20"),
}


def celery(*pool: str, program: str = "celery_hooks") -> Callable[[int], list[str]]:
    def words(_port: int) -> list[str]:
        line = [str(installed("celery")), "--app", program, "worker"]
        line += ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        return [*line, "--pool", *pool]

    return words


@pytest.fixture
def environment(mongod: EmbeddedMongo, database_name: str, tmp_path: Path) -> dict[str, str]:
    for name in ("messages", "control", "results"):
        (tmp_path / name).mkdir()
    uris = mongod.uri_for(database_name), mongod.uri_for(f"{database_name}_1")
    return environment_for(*uris) | {
        "CELERY_DIRECTORY": str(tmp_path),
        # It warns of being run by root, as continuous integration does.
        "PYTHONWARNINGS": f"{WARNINGS},ignore::Warning:celery.platforms",
    }


@pytest.fixture
def worker(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path
) -> Iterator[Running]:
    pool = POOLS[getattr(request, "param", "prefork")]
    with running(celery(*pool), environment, tmp_path) as worker:
        wait_until(lambda: started(worker) or ended(worker), SECONDS, "Celery does not start")
        yield worker


def started(worker: Running, times: int = 1) -> bool:
    return worker.said.count(" ready.") >= times


def ended(worker: Running) -> bool:
    return worker.process.poll() is not None


def children_of(worker: Running) -> set[int]:
    """Whichever of its threads has started them; without those that wait to be buried."""
    lists = Path(f"/proc/{worker.process.pid}/task").glob("*/children")
    pids = {int(pid) for listed in lists for pid in listed.read_text().split()}
    with suppress(FileNotFoundError):  # buried meanwhile: ask again
        return {pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes()}
    return children_of(worker)


def called(environment: dict[str, str], times: int) -> list[dict[str, Any]]:
    """What the tasks tell, which a process of its own has asked for."""
    return list(report_of("celery_calls.py", environment, str(times)))


def both_work(worker: Running, environment: dict[str, str]) -> bool:
    """Whether two children take tasks, with open pools."""
    reports = called(environment, 20)
    assert all(all(report["open"]) for report in reports)
    return len(children_of(worker)) == 2 and {r["pid"] for r in reports} == children_of(worker)


def kill_a_child(worker: Running, environment: dict[str, str]) -> set[int]:
    """Returns those that are left. It dies at work: an idle one that is killed may take with it
    the lock of the queue that all wait at, without datalayer, too."""
    before = children_of(worker)
    line = [str(installed("celery")), "--app", "celery_messages", "call", "die"]
    subprocess.run(line, cwd=PROGRAMS, env={**os.environ, **environment}, check=True, timeout=110)
    wait_until(lambda: before - children_of(worker), SECONDS, "no child dies")
    return before & children_of(worker)


@pytest.mark.parametrize("worker", POOLS, indirect=True)
def test_nothing_is_lost_when_a_worker_is_stopped(
    worker: Running, environment: dict[str, str]
) -> None:
    reports = called(environment, 200)
    assert all(all(report["open"]) for report in reports)
    worker.stop()
    assert worker.process.returncode == 0
    assert "Traceback" not in worker.said
    assert_nothing_lost(reports, environment)
    assert len(stored(environment)[0]) == 200
    wait_until(lambda: connections_of(environment) == 0, SECONDS, "connections stay open")


def test_nothing_is_lost_when_a_child_ends_right_after_its_task(
    environment: dict[str, str], tmp_path: Path
) -> None:
    pool = (*PREFORK, "--max-tasks-per-child", "1")
    with running(celery(*pool), environment, tmp_path) as worker:
        wait_until(lambda: started(worker) or ended(worker), SECONDS, "Celery does not start")
        reports = called(environment, 10)
        pids = {report["pid"] for report in reports}
        assert len(pids) == 10
        wait_until(lambda: not pids & children_of(worker), SECONDS, "a child goes on")
        assert_nothing_lost(reports, environment)


def test_nothing_is_lost_when_a_worker_is_restarted(
    worker: Running, environment: dict[str, str]
) -> None:
    reports = called(environment, 40)
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: started(worker, 2), SECONDS, "it does not start again")
    assert_nothing_lost(reports, environment)
    assert len(called(environment, 10)) == 10


def test_a_killed_child_is_replaced_by_a_connected_one(
    worker: Running, environment: dict[str, str]
) -> None:
    wait_until(lambda: both_work(worker, environment), SECONDS, "one does not work")
    left = kill_a_child(worker, environment)
    wait_until(lambda: both_work(worker, environment), SECONDS, "nothing takes its place")
    assert left < children_of(worker)


# A database that is away


@pytest.fixture
def proxy(
    mongod: EmbeddedMongo, environment: dict[str, str], database_name: str
) -> Iterator[FaultyProxy]:
    """The way to the business database."""
    with FaultyProxy(mongod.hosts[0]) as proxy:
        environment["MONGODB_URI"] = f"{proxy.uri_for(database_name)}&appName=behind"
        yield proxy


def test_a_worker_that_can_not_connect_does_not_start_and_says_why(
    proxy: FaultyProxy, environment: dict[str, str], tmp_path: Path
) -> None:
    proxy.refuse()
    environment["MONGODB_RETRY_MAX_SECONDS"] = "0.5"
    with running(celery(*PREFORK), environment, tmp_path) as worker:
        wait_until(lambda: ended(worker), SECONDS, "it does not end")
        assert worker.process.returncode == 1
        assert "datalayer can't connect this worker: could not connect 'default'" in worker.said
        assert f"127.0.0.1:{proxy.port}" in worker.said


@pytest.mark.slow
def test_a_child_that_starts_while_its_database_hangs_works_when_that_is_back(
    proxy: FaultyProxy, worker: Running, environment: dict[str, str]
) -> None:
    wait_until(lambda: both_work(worker, environment), SECONDS, "one does not work")
    proxy.hang()
    kill_a_child(worker, environment)
    wait_until(lambda: "required and unavailable" in worker.said, SECONDS, "no child starts")
    before = children_of(worker)
    proxy.restore()
    wait_until(lambda: both_work(worker, environment), SECONDS, "one does not work")
    assert children_of(worker) == before


# The hooks themselves


@pytest.mark.parametrize("pool", ["gevent", "threads"])
def test_a_pool_of_greenlets_in_a_program_that_patched_nothing_is_told(
    environment: dict[str, str], tmp_path: Path, pool: str
) -> None:
    options = ["worker", "--pool", pool, "--without-gossip", "--without-mingle"]
    options += ["--concurrency", "2", "--loglevel", "INFO"]
    program = f"from celery_hooks import app; app.worker_main({options})"
    words = [sys.executable, "-W", "ignore", "-c", program]
    with running(lambda _port: words, environment, tmp_path) as worker:
        wait_until(lambda: started(worker) or ended(worker), SECONDS, "Celery does not start")
        assert ("nothing is patched" in worker.said) == (pool == "gevent")
        worker.stop()


@pytest.mark.parametrize("pool", [PREFORK, ("solo",)], ids=lambda pool: pool[0])
def test_a_django_projects_workers_connect_with_the_settings_of_django(
    environment: dict[str, str], tmp_path: Path, pool: tuple[str, ...]
) -> None:
    uri = environment.pop("MONGODB_URI")
    given = {"MONGODB_URI": uri, "DATABASE1_URI": environment.pop("DATABASE1_URI")}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "django_site.settings",
        "SITE_DATALAYER": json.dumps(given),
    }
    with running(celery(*pool, program="celery_django"), environment, tmp_path) as worker:
        wait_until(lambda: started(worker) or ended(worker), SECONDS, "Celery does not start")
        reports = called(environment, 4)
        worker.stop()
    name = parse_uri(uri)["database"]
    assert reports == [{"connected": True, "database": name}] * 4
    assert "Traceback" not in worker.said


def test_installing_twice_changes_nothing() -> None:
    hooked = (signals.worker_init, signals.worker_process_init, signals.worker_process_shutdown)
    before = [len(signal.receivers or ()) for signal in hooked]
    datalayer_celery.install()
    once = [len(signal.receivers or ()) for signal in hooked]
    datalayer_celery.install()
    assert [len(signal.receivers or ()) for signal in hooked] == once
    assert [after - was for was, after in zip(before, once, strict=True)] in ([1, 1, 1], [0] * 3)


def test_beat_connects_only_where_it_is_told_to() -> None:
    datalayer_celery.install()
    assert not signals.beat_init.receivers
    datalayer_celery.install(beat=True)
    assert len(signals.beat_init.receivers) == 1


# Tasks that may run again


def runs_of(*errors: Exception) -> int:
    """How often a task ran that fails with each of these errors in turn, and then succeeds."""
    app = Celery(set_as_current=False)
    runs: list[int] = []

    @app.task(**datalayer_celery.RETRIES)
    def task() -> None:
        runs.append(1)
        if len(runs) <= len(errors):
            raise errors[len(runs) - 1]

    task.apply()
    return len(runs)


def test_a_task_runs_again_after_errors_without_effect() -> None:
    assert runs_of(UnavailableError("away"), ConnectError("away")) == 3


def test_a_task_runs_five_times_more_at_most() -> None:
    assert runs_of(*[UnavailableError("away")] * 9) == 6


@pytest.mark.parametrize(
    "error", [OutcomeUnknownError("lost"), AuthenticationError("no"), ValueError("bad")]
)
def test_a_task_does_not_run_again_after_others(error: Exception) -> None:
    assert runs_of(error, error) == 1
