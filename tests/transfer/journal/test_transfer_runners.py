"""One runner at a time: the second is refused, and one that slept too long is fenced."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymongo
import pytest
from moving import Databases, nonzero, plan, raw
from pymongo.errors import PyMongoError
from running_programs import installed
from waiting import wait_until

from datalayer import transfer
from datalayer.errors import TransferError
from datalayer.transfer import Plan
from datalayer.transfer.endpoint import Endpoint
from datalayer.transfer.journal.journal import Journal
from datalayer.transfer.journal.lease import held
from datalayer.transfer.journal.range import Range


@contextlib.contextmanager
def running(databases: Databases, tmp_path: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``datalayer transfer run`` of 2,000 messages in a process of its own, slowly."""
    settings = databases.settings
    environ = {
        "PATH": os.environ["PATH"],
        "MONGODB_URI": settings["default"].uri,
        "DATABASE1_URI": settings["database1"].uri,
        "DATALAYER_ALIASES": "archive",
        "ARCHIVE_URI": settings["archive"].uri,
    }
    command = [
        installed("datalayer"), "transfer", "run", "--name", "t",
        "--collection", "messages", "--from", "default", "--to", "archive", "--json",
        "--batch-size", "20", "--rate", "400", *words,
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=tmp_path, env=environ, **pipes) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def copied(databases: Databases) -> int:
    return int(databases["archive"].messages.estimated_document_count())


def test_a_second_runner_is_refused(databases: Databases, tmp_path: Path) -> None:
    databases.fill(2000)
    with running(databases, tmp_path) as process:
        wait_until(lambda: copied(databases) >= 100)
        for verb in (transfer.resume, transfer.verify, transfer.rollback):
            with pytest.raises(TransferError, match="is at work on the transfer 't'"):
                verb("t")
        with pytest.raises(TransferError, match=r"holds documents already"):
            transfer.run(plan())
        report = transfer.show("t")
        assert report.holder is not None
        assert report.holder.endswith(f":{process.pid}")
        assert (report.state, report.complete) == ("running", False)


def test_two_runs_of_one_name_at_once_are_one(databases: Databases) -> None:
    databases.fill(200)
    made = plan()
    outcomes: list[str] = []

    def run() -> None:
        try:
            outcomes.append(transfer.run(made).state)
        except TransferError as exc:
            outcomes.append(type(exc).__name__)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["TransferError", "TransferError", "TransferError", "done"]
    assert raw(databases["archive"].messages) == raw(databases["default"].messages)


def test_a_paused_holder_is_fenced_when_its_lease_has_run_out(
    databases: Databases, tmp_path: Path
) -> None:
    databases.fill(2000)
    with running(databases, tmp_path, "--lease", "4", "--move", "--yes") as process:
        wait_until(lambda: copied(databases) >= 100)
        process.send_signal(signal.SIGSTOP)
        try:
            report = transfer.resume("t", wait_seconds=90)
        finally:
            process.send_signal(signal.SIGCONT)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "lost its lease" in json.loads(stdout)["error"]["message"]
    assert "lost its lease" in stderr
    assert (report.state, report.deleted, nonzero(report)) == ("done", 2000, {})
    assert (len(raw(databases["archive"].messages)), raw(databases["default"].messages)) == (
        2000,
        [],
    )


ENDLESS = {"$where": "while (true) {}"}


def test_what_the_end_of_the_lease_interrupts_has_lost_it(databases: Databases) -> None:
    databases.fill(1)
    journal = Journal(Endpoint.of("archive"), "t")
    journal.create(plan())
    with held(journal, 1) as lease:
        lease.stop()  # as if this process were stopped: nobody renews it
        with pytest.raises(TransferError, match="lost its lease"), lease.time():
            databases["default"].messages.find_one(ENDLESS)


def test_an_operation_that_takes_too_long_within_the_lease_has_not_lost_it(
    databases: Databases,
) -> None:
    databases.fill(1)
    journal = Journal(Endpoint.of("archive"), "t")
    journal.create(plan())
    with (
        held(journal, 30) as lease,
        pytest.raises(PyMongoError) as caught,
        lease.time(),
        pymongo.timeout(0.2),
    ):
        databases["default"].messages.find_one(ENDLESS)
    assert caught.value.timeout


def test_an_overtaken_runner_can_write_nothing_into_the_journal(databases: Databases) -> None:
    databases.fill(1)
    endpoint = Endpoint.of("archive")
    late, next_one = Journal(endpoint, "t"), Journal(endpoint, "t")
    late.create(plan())
    late.acquire(30)
    databases["archive"].datalayer_transfers.update_one({"_id": "t"}, {"$set": {"until": None}})
    with pytest.raises(TransferError, match="lost its lease"):
        late.write(state="done")
    next_one.acquire(30)
    assert next_one.token == late.token + 1
    assert late.renew(30) is False
    with pytest.raises(TransferError, match="lost its lease"):
        late.write(new=[Range(0, 0, [1])])
    assert list(next_one.ranges(0)) == []
    next_one.write(new=[Range(0, 0, [1])])
    late.release()
    with pytest.raises(TransferError, match="is at work"):
        late.acquire(30)


def test_a_range_of_a_later_runner_is_not_overwritten(databases: Databases) -> None:
    databases.fill(1)
    endpoint = Endpoint.of("archive")
    journal = Journal(endpoint, "t")
    journal.create(plan())
    journal.acquire(30)
    journal.write(new=[Range(0, 0, [1], state="copied")])
    databases["archive"].datalayer_transfer_ranges.update_one({}, {"$inc": {"token": 1}})
    with pytest.raises(TransferError, match="lost its lease"):
        journal.write(new=[Range(0, 0, [1])])
    assert [each.state for each in journal.ranges(0)] == ["copied"]


def test_a_lease_is_renewed_while_its_runner_works(databases: Databases) -> None:
    databases.fill(1)
    journal = Journal(Endpoint.of("archive"), "t")
    journal.create(plan())
    with held(journal, 0.5) as lease:
        ends = time.monotonic() + 1.5
        while time.monotonic() < ends:
            with lease.time():
                journal.write(state="running")


def test_the_clock_of_this_machine_does_not_matter(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases.fill(1)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    journal = Journal(Endpoint.of("archive"), "t")
    journal.create(plan())
    with held(journal, 30):
        assert 20 < transfer.show("t").seconds_left <= 30
        with pytest.raises(TransferError, match="is at work"):
            transfer.resume("t")


def test_a_transfer_is_found_without_reading_the_plans_of_others(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases.fill(5)
    for name in ("t", "u", "v"):
        transfer.run(plan(name, collections={"messages": name}))
    read: list[str] = []
    from_json = Plan.from_json

    def noted(text: str) -> Plan:
        read.append(from_json(text).name)
        return from_json(text)

    monkeypatch.setattr(Plan, "from_json", noted)
    assert transfer.resume("t").state == "done"
    assert transfer.show("t", target="archive").state == "done"
    assert set(read) == {"t"}
