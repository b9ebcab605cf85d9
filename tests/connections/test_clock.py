"""The wall clock may jump: administrators set it, virtual machines wake up, time servers correct
it. Durations are measured on the monotonic clock, which does not."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import PROGRAMS
from pymongo import MongoClient

import datalayer
from datalayer.embedded import EmbeddedMongo

HOUR = 3600
PACKAGE = Path(datalayer.__file__).parent


@pytest.fixture(scope="module")
def clock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What makes the wall clock of one process jump, others' and the machine's left alone."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("clock") / "jumping_clock.so"
    source = PROGRAMS / "jumping_clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture(scope="module", params=[HOUR, -HOUR], ids=["forwards", "backwards"])
def report(
    request: pytest.FixtureRequest, mongod: EmbeddedMongo, clock_library: Path
) -> Iterator[dict[str, Any]]:
    """What a process told whose wall clock jumped an hour in the middle of everything."""
    name = f"test_clock_{os.getpid()}_{request.param_index}"
    words = [sys.executable, str(PROGRAMS / "jumping.py"), str(request.param)]
    words += [mongod.uri_for(name), "mongodb://127.0.0.1:1/away"]
    done = subprocess.run(
        words,
        env={**os.environ, "LD_PRELOAD": str(clock_library)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    yield json.loads(done.stdout)
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.drop_database(name)


def test_connecting_goes_on_retrying_until_its_deadline(report: dict[str, Any]) -> None:
    found = report["connecting"]
    assert found["error"] == "ConnectError"
    assert 0.2 <= found["elapsed"] <= found["seconds"]
    assert found["attempts"] >= 1


def test_a_deadline_ends_when_its_seconds_are_over(report: dict[str, Any]) -> None:
    found = report["deadline"]
    assert found["error"] == "DeadlineExceededError"
    assert found["seconds"] >= 0.3


def test_retry_keeps_to_its_total_time(report: dict[str, Any]) -> None:
    found = report["retrying"]
    assert found["error"] == "UnavailableError"
    assert found["calls"] >= 2


def test_a_command_took_as_long_as_it_took(report: dict[str, Any]) -> None:
    commands = report["commands"]
    assert 250 < commands["p99_ms"] < 600_000  # the clock jumps by an hour
    assert 0 <= commands["checkout_p99_ms"] < 600_000


def test_no_command_is_called_slow_because_of_the_clock(report: dict[str, Any]) -> None:
    assert (report["commands"]["slow"], report["commands"]["slow_events"]) == (0, 0)


def test_the_circuit_breaker_stays_open_for_its_time(report: dict[str, Any]) -> None:
    assert report["breaker"] == ["open", "open", "UnavailableError"]


# Those that tell a point in time to somebody, and measure nothing with it.
TELLS_THE_TIME = {
    "cli/commands/top.py",  # when a frame was drawn
    "contrib/opentelemetry/operations.py",  # when a span began
    "contrib/flask/authorisation_cache.py",  # how old what a browser brings back is
    "service/connecting.py",  # connected_since
    "cli/demo/chapters.py",  # the dates of made-up documents
    "doctor/facts.py",  # whether a server is past its end of life today
    "doctor/judgements/indexes.py",  # the server's own figures, since a point in time
    "doctor/probes/tls.py",  # when a certificate ends
    "documents/save.py",  # the time in the ids of new documents
    "documents/times.py",  # what documents hold
    "models/business/profile.py",  # how old a person is
    "monitoring/commands.py",  # when a slow command had ended
    "monitoring/failures.py",  # when something failed last
    "outbox/enqueue.py",  # when something was written down
    "outbox/lag.py",  # for how long something has waited in a collection
    "recorder/encoding.py",  # the time in an id, and of an event
    "recorder/spool/segment.py",  # when something was put on disk, for the process after this one
    "recorder/spool_replay.py",  # for how long something has waited on disk
    "web/endpoints.py",  # when the health was looked at
    "web/snapshot.py",  # when the status page was made
    "web/workers/publishing.py",  # since when a worker runs
    "web/workers/report.py",  # when a worker wrote its report
}


def test_only_these_modules_read_the_wall_clock() -> None:
    """Everything that takes time is measured by ``monotonic`` or ``perf_counter``."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if reads_the_wall_clock(ast.parse(path.read_text()))
    }
    assert found - TELLS_THE_TIME == set()


def reads_the_wall_clock(tree: ast.Module) -> bool:
    from_time = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in ("time", "time_ns")
    }
    return any(
        isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in from_time)
            or ast.unparse(node.func)
            in ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "date.today")
        )
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize(
    "source",
    [
        "import time\nstarted = time.time()",
        "from time import time\nstarted = time()",
        "from datetime import datetime\nstarted = datetime.now()",
    ],
)
def test_reading_the_wall_clock_is_recognised(source: str) -> None:
    assert reads_the_wall_clock(ast.parse(source))
