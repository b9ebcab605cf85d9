"""Processes that end, fork or are killed: what they recorded is stored, and stored once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from paths import PROGRAMS
from recorded_events import Click, Reading
from running_programs import python
from waiting import wait_until

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.recorder import Recorder
from datalayer.settings import Settings

Make = Callable[..., Recorder]
FSYNC_SECONDS = 0.3
WARNINGS = "error,ignore:This process:DeprecationWarning"


@pytest.fixture
def environment(
    shared: Settings, proxy: FaultyProxy, mongod: EmbeddedMongo, tmp_path: Path
) -> dict[str, str]:
    """Of programs that store where the tests do, with a spool."""
    return {
        **os.environ,
        "MONGODB_URI": shared["default"].uri,
        "DATABASE1_URI": shared["database1"].uri,
        "PYTHONWARNINGS": WARNINGS,
        "DATALAYER_RECORDER_POLICY": "spool",
        "DATALAYER_RECORDER_SPOOL_DIRECTORY": str(tmp_path / "spool"),
        "DATALAYER_RECORDER_FSYNC_MS": str(FSYNC_SECONDS * 1000),
        "DATALAYER_RECORDER_INTERVAL_MS": "50",
    }


@contextmanager
def program(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "recording.py", *words],
        cwd=PROGRAMS,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(environment: dict[str, str], *words: str) -> None:
    done = python("recording.py", *words, cwd=PROGRAMS, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def killed_under_load(
    environment: dict[str, str], seconds: float, *words: str, at: Callable[[], object] = int
) -> tuple[int, int]:
    """A program's pid, and how many events it had recorded before the last fsync interval when
    it was killed by SIGKILL; ``at`` is called half-way."""
    told: list[tuple[int, float]] = []
    with program(environment, "load", *words) as process:
        assert process.stdout is not None
        told.append((0, float("-inf")))
        assert process.stdout.readline()  # it has begun
        ends, called = monotonic() + seconds, False
        for line in process.stdout:
            number, moment = line.split()
            told.append((int(number), float(moment)))
            if not called and monotonic() > ends - seconds / 2:
                called = True
                at()
            if monotonic() > ends:
                break
        killed_at = monotonic()
        process.kill()
    return process.pid, max(number for number, when in told if when < killed_at - FSYNC_SECONDS)


def wait_until_back() -> None:
    """Until this process has noticed that the database is back."""
    wait_until(lambda: db.database1.is_connected, 60, "the database is back")


def stored(model: Any, pid: int) -> Counter[int]:
    return Counter(each["number"] for each in model._get_collection().find({"pid": pid}))


def segments(environment: dict[str, str]) -> list[Path]:
    return list(Path(environment["DATALAYER_RECORDER_SPOOL_DIRECTORY"]).glob("*.spool"))


def delivered_by_another(environment: dict[str, str]) -> None:
    """Have a new process deliver what others have left."""
    with program(environment, "wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        wait_until(lambda: not segments(environment), 40, "the spool is delivered")


def assert_whole(numbers: Counter[int], at_least: int) -> None:
    """Nothing lost of the first ``at_least``, no gap behind them, and nothing twice."""
    assert [number for number, count in numbers.items() if count > 1] == []
    assert sorted(numbers) == list(range(len(numbers)))
    assert len(numbers) >= at_least


@pytest.mark.slow
@pytest.mark.parametrize("model", [Click, Reading])
def test_sigkill_under_load_loses_nothing_and_stores_nothing_twice(
    environment: dict[str, str], proxy: FaultyProxy, model: Any
) -> None:
    def slow_down() -> None:
        proxy.delay(2 * FSYNC_SECONDS)

    pid, recorded = killed_under_load(environment, 2.0, model.__name__, at=slow_down)
    proxy.restore()
    delivered_by_another(environment)
    assert recorded > 1000
    assert_whole(stored(model, pid), recorded)


@pytest.mark.slow
def test_sigkill_while_the_database_is_away_loses_nothing(
    environment: dict[str, str], proxy: FaultyProxy
) -> None:
    pid, recorded = killed_under_load(environment, 3.0, at=proxy.refuse)
    assert segments(environment)
    proxy.restore()
    wait_until_back()
    assert 0 < len(stored(Click, pid)) < recorded
    delivered_by_another(environment)
    assert_whole(stored(Click, pid), recorded)


@pytest.mark.slow
def test_sigkill_while_another_process_uses_the_same_spool(
    environment: dict[str, str], proxy: FaultyProxy
) -> None:
    with program(environment, "load") as living:
        assert living.stdout is not None
        living.stdout.readline()
        pid, recorded = killed_under_load(environment, 1.0, at=proxy.refuse)
        with program(environment, "wait") as other:
            assert other.stdout is not None
            other.stdout.readline()
            proxy.restore()
            wait_until(lambda: others_than(living.pid, environment) == [], 120, "it is delivered")
        proxy.refuse()
        while float(living.stdout.readline().split()[1]) < monotonic() - 0.05:
            pass
        *_, last = (living.stdout.readline() for _ in range(30))  # recorded without a database
        while float(living.stdout.readline().split()[1]) < float(last.split()[1]) + FSYNC_SECONDS:
            pass
        living.kill()
    proxy.restore()
    wait_until_back()
    delivered_by_another(environment)
    assert_whole(stored(Click, pid), recorded)
    assert_whole(stored(Click, living.pid), int(last.split()[0]))


def others_than(pid: int, environment: dict[str, str]) -> list[Path]:
    """The segments that other processes have made."""
    return [path for path in segments(environment) if not path.name.startswith(f"{pid}-")]


@pytest.mark.slow
def test_sigkill_of_the_process_that_delivers_doubles_nothing(
    environment: dict[str, str], proxy: FaultyProxy
) -> None:
    pid, recorded = killed_under_load(environment, 2.0, at=proxy.refuse)
    proxy.restore()
    for _ in range(3):
        with program(environment, "wait") as process:
            assert process.stdout is not None
            process.stdout.readline()  # it is killed at some point of its delivery
    delivered_by_another(environment)
    wait_until_back()
    assert_whole(stored(Click, pid), recorded)


@pytest.mark.parametrize("policy", ["drop_oldest", "spool"])
def test_a_process_that_ends_stores_what_it_recorded(
    environment: dict[str, str], policy: str
) -> None:
    run({**environment, "DATALAYER_RECORDER_POLICY": policy}, "some", "2500")
    assert sorted(each["number"] for each in Click._get_collection().find()) == list(range(2500))
    assert segments(environment) == []


@pytest.mark.parametrize("policy", ["drop_oldest", "spool"])
def test_children_store_their_own_events_and_not_their_parents(
    environment: dict[str, str], policy: str
) -> None:
    run({**environment, "DATALAYER_RECORDER_POLICY": policy}, "fork", "100")
    expected = [n * 1000 + number for n in range(5) for number in range(100)]
    assert sorted(each["number"] for each in Click._get_collection().find()) == expected


def test_what_was_recorded_without_a_database_is_spooled_at_the_end(
    environment: dict[str, str], proxy: FaultyProxy
) -> None:
    proxy.refuse()
    run_away(environment)
    assert len(segments(environment)) == 1
    proxy.restore()
    delivered_by_another(environment)
    wait_until_back()
    assert sorted(each["number"] for each in Click._get_collection().find()) == list(range(500))


def run_away(environment: dict[str, str]) -> None:
    """Record while the analytics database is away; what is logged of it is not of interest."""
    away = {**environment, "DATABASE1_RETRY_MAX_SECONDS": "0.5"}
    done = python("recording.py", "some", "500", cwd=PROGRAMS, env=away)
    assert done.returncode == 0


def test_a_child_does_not_hold_its_dead_parents_spool(
    environment: dict[str, str], proxy: FaultyProxy
) -> None:
    script = """
import os, sys, time
sys.path.insert(0, "../recorder")
from recorded_events import Click
from datalayer import db, recorder
db.connect_all()
for number in range(100):
    recorder.record({"number": number}, Click)
recorder.flush()
while recorder.stats()["spooled"] < 100:
    time.sleep(0.01)
if os.fork() == 0:
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.read()
"""
    proxy.refuse()
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=PROGRAMS,
        env={**environment, "DATABASE1_RETRY_MAX_SECONDS": "0.5"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        parent.wait()  # until it is dead the spool is its own
        proxy.restore()
        delivered_by_another(environment)
        wait_until_back()
        assert Click.objects.count() == 100
        assert parent.stdin is not None
        parent.stdin.close()
