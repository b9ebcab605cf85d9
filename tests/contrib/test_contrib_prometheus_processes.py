"""Several processes that share their metrics: real application servers, in prometheus_client's
multi-process mode."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from running_programs import installed, report_of
from running_servers import Running, running
from waiting import wait_until

pytestmark = pytest.mark.applications

LONG_SECONDS = 120.0
WORKERS = 3
REQUESTS = 200
WARNINGS = "error,ignore:This process:DeprecationWarning"
Words = Callable[[int], list[str]]


def gunicorn(*options: str) -> Words:
    def words(port: int) -> list[str]:
        line = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
        line += ["--threads", "2", "--config", "metrics_gunicorn.py", *options]
        return [sys.executable, *line, "metrics_application:application"]

    return words


def uwsgi() -> Words:
    program = installed("uwsgi")
    if not program.exists():
        pytest.skip("uWSGI is not installed; it is built from source and needs a C compiler")

    def words(port: int) -> list[str]:
        line = [str(program), "--http-socket", f"127.0.0.1:{port}", "--master", "--need-app"]
        line += ["--processes", str(WORKERS), "--home", sys.prefix, "--die-on-term"]
        line += ["--py-call-uwsgi-fork-hooks"]  # the application connects in the master
        return [
            *line,
            "--enable-threads",
            "--threads",
            "2",
            "--wsgi-file",
            "metrics_application.py",
        ]

    return words


def values_in(directory: Path) -> dict[str, float]:
    """What the files of all processes add up to, as ``metrics_application`` tells it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))
    return {
        ",".join(
            [sample.name, *(value for _, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


class Serving:
    """A server, and what its processes' metrics add up to."""

    def __init__(self, server: Running, directory: Path, processes: int) -> None:
        self.server = server
        self.directory = directory
        self.processes = processes
        """How many are connected: a master that loads the application is one of them."""
        self.failing = 1
        """The commands that were sent in order to fail: one told that the server answers."""
        self.workers: set[int] = set()

    def work(self) -> None:
        """Have every worker answer: on a busy machine a few of them can take all requests."""
        self.workers = set()
        wait_until(self._all_have_worked, LONG_SECONDS, f"fewer than {WORKERS} workers answer")

    def _all_have_worked(self) -> bool:
        with ThreadPoolExecutor(8) as callers:
            reports = list(callers.map(self.server.ask, ["/work"] * REQUESTS))
        self.failing += REQUESTS
        self.workers |= {report["pid"] for report in reports}
        return len(self.workers) == WORKERS

    def files(self, pattern: str) -> list[Path]:
        return list(self.directory.glob(pattern))

    def value(self, name: str) -> float | None:
        value: float | None = self.server.ask("/metrics").get(f"datalayer_{name}")
        return value

    def wait_for(self, name: str, expected: float) -> None:
        wait_until(
            lambda: self.value(name) == expected, LONG_SECONDS, f"{name} is not {expected:g}"
        )


SERVERS: dict[str, tuple[Callable[[], Words], int]] = {
    "gunicorn": (gunicorn, WORKERS),
    "gunicorn --preload": (lambda: gunicorn("--preload"), WORKERS + 1),
    "uwsgi": (uwsgi, WORKERS),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the processes write their metrics."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    return directory


@pytest.fixture
def environment(uris: dict[str, str], directory: Path) -> dict[str, str]:
    return {**uris, "PROMETHEUS_MULTIPROC_DIR": str(directory), "PYTHONWARNINGS": WARNINGS}


@pytest.fixture(params=SERVERS)
def serving(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    directory: Path,
    tmp_path: Path,
) -> Iterator[Serving]:
    words, processes = SERVERS[request.param]
    with running(words(), environment, tmp_path) as server:
        wait_until(server.answers, LONG_SECONDS, f"{request.param} does not answer")
        yield Serving(server, directory, processes)


def test_each_process_is_counted_once(serving: Serving) -> None:
    serving.work()
    serving.wait_for("command_failures_total,default", serving.failing)
    serving.wait_for("database_state,default,connected", serving.processes)
    assert serving.value("pool_connections_max,default") == 10 * serving.processes
    assert serving.value("database_required,default") == 1
    assert serving.value("servers,default,primary") == 1
    count = serving.value("command_duration_seconds_count,default")
    assert count == serving.value("command_duration_seconds_bucket,default,+Inf")
    assert count is not None
    assert count >= serving.failing


@pytest.mark.parametrize("serving", ["gunicorn", "gunicorn --preload"], indirect=True)
def test_what_a_killed_process_has_counted_stays_and_its_gauges_vanish(serving: Serving) -> None:
    serving.work()
    serving.wait_for("command_failures_total,default", serving.failing)
    dead = min(serving.workers)
    os.kill(dead, signal.SIGKILL)
    wait_until(
        lambda: (
            not serving.files(f"gauge_live*_{dead}.db")
            and len(serving.files("gauge_livesum_*.db")) == serving.processes
        ),
        LONG_SECONDS,
        "no other worker takes its place",
    )
    serving.wait_for("pool_connections_max,default", 10 * serving.processes)
    assert serving.value("command_failures_total,default") == serving.failing
    serving.work()
    serving.wait_for("command_failures_total,default", serving.failing)
    serving.wait_for("database_state,default,connected", serving.processes)


def test_nothing_counted_is_missing_when_the_processes_have_ended(serving: Serving) -> None:
    serving.work()
    serving.server.stop()
    values = values_in(serving.directory)
    assert values["datalayer_command_failures_total,default"] == serving.failing
    assert values.get("datalayer_pool_connections_max,default", 0) == 0
    assert "metrics can't be written" not in serving.server.said


@pytest.mark.parametrize("serving", ["gunicorn --preload"], indirect=True)
def test_a_process_that_has_not_used_a_database_yet_does_not_take_it_for_away(
    serving: Serving,
) -> None:
    serving.wait_for("pool_connections_max,default", 10 * serving.processes)
    serving.wait_for("database_state,default,connected", 2)  # the master, and who answered
    assert serving.value("database_state,default,unavailable") == 0


def test_connections_that_end_before_the_next_write_are_counted(
    environment: dict[str, str],
) -> None:
    sums = report_of("metrics_of_short_connections.py", environment)
    assert sums["datalayer_command_failures_total,default"] == 2
