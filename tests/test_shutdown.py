"""How processes end: by a signal at any moment, or without having disconnected."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from paths import PROGRAMS
from pymongo import MongoClient
from running_programs import installed, python

from datalayer.embedded import EmbeddedMongo
from datalayer.shutdown import flush, graceful_shutdown

DEADLINE = 60.0
FOR_EVER = 600.0  # longer than a test may last
MOMENTS = 300
PROCESSES = 6  # that start workers side by side: much of a worker's end is waiting
SEED = 20_250_301

pytestmark = pytest.mark.timeout(1000)


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """A program's run, with warnings as errors."""
    # Python 3.12 and later warn of every fork in a process with threads.
    strictly = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return python(*strictly, *words, cwd=PROGRAMS, environment=environment, timeout=900)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a program said, but for being told that it waits: on a busy machine it may have to."""
    return [line for line in done.stderr.splitlines() if "is not connected yet (no" not in line]


# At random moments


@pytest.fixture(scope="module")
def workers(mongod: EmbeddedMongo) -> Iterator[list[dict[str, Any]]]:
    """What became of the workers, each with what is stored of it."""
    environment = {
        "MONGODB_URI": mongod.uri_for("test_shutdown"),
        "DATABASE1_URI": mongod.uri_for("test_shutdown_1"),
    }
    share = str(MOMENTS // PROCESSES)
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        with ThreadPoolExecutor(PROCESSES) as callers:
            runs = callers.map(
                lambda number: run(environment, "stopping.py", share, str(SEED + number)),
                range(PROCESSES),
            )
            done = list(runs)
        assert [(each.returncode, complaints(each)) for each in done] == [(0, [])] * PROCESSES
        reports = list(chain.from_iterable(json.loads(each.stdout) for each in done))
        deeds = list(client["test_shutdown"]["deeds"].find())
        lines = Counter(
            entry["logger"] for entry in client["test_shutdown_1"]["log_entries"].find()
        )
        for report in reports:
            report["stored"] = {str(d["_id"]) for d in deeds if d["worker"] == report["name"]}
            report["lines"] = lines[f"worker.{report['name']}"]
        yield reports
        client.drop_database("test_shutdown")
        client.drop_database("test_shutdown_1")


@pytest.mark.slow
def test_no_worker_hangs_at_any_of_300_moments(workers: list[dict[str, Any]]) -> None:
    assert (len(workers), sum(worker["hangs"] for worker in workers)) == (MOMENTS, 0)
    assert {worker["code"] for worker in workers} == {0}


@pytest.mark.slow
def test_a_worker_ends_as_it_was_told(workers: list[dict[str, Any]]) -> None:
    at_once = {signal.SIGTERM: "SystemExit(143)", signal.SIGINT: "KeyboardInterrupt()"}
    ways = {(worker["grace"] > 0, worker["signal"], worker["ended_by"]) for worker in workers}
    assert ways == {
        *((True, number, "itself") for number in at_once),
        *((False, number, error) for number, error in at_once.items()),
    }


@pytest.mark.slow
def test_workers_end_long_before_their_grace_is_over(workers: list[dict[str, Any]]) -> None:
    """What does not is taken for hanging: that is a sixth of the grace."""
    patient = [worker for worker in workers if worker["grace"] == 600]
    assert (len(patient) > 50, [worker for worker in patient if worker["hangs"]]) == (True, [])


@pytest.mark.slow
def test_operations_of_a_worker_finish_or_fail_clearly(workers: list[dict[str, Any]]) -> None:
    assert [worker["errors"] for worker in workers if worker["errors"]] == []
    for worker in workers:
        missing = set(worker["saved"]) - worker["stored"]
        untold = worker["stored"] - set(worker["saved"])
        # Where the signal raises at once, it may do so between the reply and the list.
        assert (missing, len(untold) <= (worker["grace"] == 0)) == (set(), True)


@pytest.mark.slow
def test_what_a_worker_logged_is_stored(workers: list[dict[str, Any]]) -> None:
    assert {worker["dropped"] for worker in workers} == {0}
    lost = [worker for worker in workers if worker["lines"] < worker["logged"]]
    assert lost == []


# The request to stop


def test_the_first_signal_sets_the_event_and_lets_work_go_on() -> None:
    with graceful_shutdown() as stopping:
        before = stopping.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert (before, stopping.wait(DEADLINE)) == (False, True)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_the_second_signal_interrupts(number: int, error: type[BaseException]) -> None:
    with pytest.raises(error) as raised:
        work_through_signals(number, number)
    assert getattr(raised.value, "code", 143) == 143


def test_work_that_outlasts_the_grace_is_interrupted() -> None:
    started = time.monotonic()
    with pytest.raises(SystemExit):
        work_through_signals(signal.SIGTERM, grace_seconds=0.2)
    assert time.monotonic() - started >= 0.2


def test_without_grace_the_first_signal_interrupts() -> None:
    with pytest.raises(SystemExit):
        work_through_signals(signal.SIGTERM, grace_seconds=0)


def work_through_signals(*numbers: int, grace_seconds: float = FOR_EVER) -> None:
    with graceful_shutdown(grace_seconds):
        for number in numbers:
            signal.raise_signal(number)
        time.sleep(FOR_EVER)


def test_an_interruption_waits_until_code_with_locks_has_returned() -> None:
    assert interrupted_while_waiting(0.5) >= 0.5


def test_code_with_locks_that_does_not_return_is_interrupted_after_a_second() -> None:
    assert interrupted_while_waiting(FOR_EVER) >= 1


def test_tracing_is_as_before_after_an_interruption() -> None:
    before = sys.gettrace()
    interrupted_while_waiting(0.2)
    assert sys.gettrace() is before


def interrupted_while_waiting(seconds: float) -> float:
    """The seconds after which SIGTERM ended waiting for an event, and then sleeping."""
    started = time.monotonic()
    try:
        with graceful_shutdown(0):
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGTERM]).start()
            threading.Event().wait(seconds)
            time.sleep(FOR_EVER)
    except SystemExit:
        pass
    return time.monotonic() - started


def test_a_process_that_ignores_the_interruption_is_ended() -> None:
    program = """
import time
from datalayer.shutdown import graceful_shutdown
with graceful_shutdown(0):
    print("ready", flush=True)
    while True:
        try:
            time.sleep(0.1)  # Python sees a signal that comes right before one after it
        except BaseException:
            pass
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


def test_a_signal_while_waiting_for_the_event_wakes_up_at_once() -> None:
    with graceful_shutdown() as stopping:
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM]).start()
        assert stopping.wait(DEADLINE)


def test_the_handlers_from_before_are_back_after_the_block() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with graceful_shutdown():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_dies_of_its_signal_and_leaves_its_parent_alone() -> None:
    with graceful_shutdown() as stopping:
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert (os.waitstatus_to_exitcode(status), stopping.is_set()) == (-signal.SIGTERM, False)


def test_only_the_main_thread_can_take_signals() -> None:
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            with graceful_shutdown():
                pass
        except ValueError as exc:
            errors.append(exc)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(DEADLINE)
    assert len(errors) == 1


# Flushing


def test_a_log_handler_that_fails_does_not_keep_the_others_from_being_flushed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    import logging

    flushed: list[str] = []

    class Recording(logging.NullHandler):
        def flush(self) -> None:
            flushed.append(self.name or "")
            if self.name == "bad":
                raise RuntimeError("it is broken")

    named = logging.getLogger("test.flushing")
    handlers = [Recording(), Recording()]
    handlers[0].name, handlers[1].name = "bad", "good"
    for handler in handlers:
        named.addHandler(handler)
    try:
        flush()
    finally:
        for handler in handlers:
            named.removeHandler(handler)
    assert flushed == ["bad", "good"]
    assert "could not be flushed" in caplog.text


# Without having disconnected


@pytest.mark.parametrize(
    ("way", "code"),
    [("plainly", 0), ("by_an_error", 3), ("with_a_busy_thread", 0), ("with_a_child", 0)],
)
def test_a_process_that_ends_without_disconnecting_closes_and_stores_its_log(
    uris: dict[str, str], way: str, code: int
) -> None:
    done = run(uris, "ending.py", way)
    assert (done.returncode, complaints(done), done.stdout) == (code, [], "")
    with MongoClient[dict[str, Any]](uris["DATABASE1_URI"]) as client:
        entries = client.get_default_database()["log_entries"]
        assert [entry["message"] for entry in entries.find()] == ["the last words"]


def test_one_with_an_embedded_server_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {"MONGODB_URI": "embedded://app", "TMPDIR": str(tmp_path)}
    done = run(environment, "ending.py", "plainly")
    assert (done.returncode, complaints(done)) == (0, [])
    assert list(tmp_path.iterdir()) == []


# The command


def test_sigterm_gives_the_terminal_back_that_top_has_taken() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    line = [installed("datalayer"), "top", "--interval", "60", "--uri", "mongomock://shop"]
    written = b""
    with (
        subprocess.Popen(line, stdout=theirs, stderr=theirs, env=environment) as process,
        open(ours, "rb") as screen,
    ):
        os.close(theirs)
        # Linux reports the end of a terminal as an error.
        with contextlib.suppress(OSError):
            while part := screen.read1():
                told_before = b"mongomock has no server" in written
                written += part
                if b"mongomock has no server" in written and not told_before:
                    process.terminate()
        assert process.wait(DEADLINE) == 128 + signal.SIGTERM
    assert written.rindex(b"\x1b[?1049l") > written.rindex(b"mongomock has no server")
