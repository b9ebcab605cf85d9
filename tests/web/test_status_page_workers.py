"""All workers of an application on this machine, as the status page of one of them shows them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from canaries import found_in
from fresh_databases import connected, settings_for
from paths import PROGRAMS
from snapshots import failure, worker

from datalayer import Settings, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.web import Endpoints
from datalayer.web.page import page
from datalayer.web.snapshot import Snapshot, take_snapshot
from datalayer.web.workers.files import WorkerFiles
from datalayer.web.workers.publishing import VARIABLE, Publisher, application_key
from datalayer.web.workers.report import Report

ENDED_SECONDS = 60
OTHER = 4712
"""The number of a process that a test makes up."""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "workers"
    monkeypatch.setenv(VARIABLE, str(made))
    return made


@pytest.fixture
def settings(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with connected(settings_for(mongod)) as made:
        yield made


@pytest.fixture
def own(
    directory: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Publisher]:
    """This process, one of the workers. It writes when the test says so."""
    made = Publisher()
    monkeypatch.setattr("datalayer.web.workers.publishing.INTERVAL_SECONDS", 3600.0)
    monkeypatch.setattr("datalayer.web.snapshot.publisher", made)
    made.offer()
    made.publish()
    yield made
    made.end()


class Worker:
    """Another process of the same application."""

    def __init__(self, settings: Settings) -> None:
        uris = {alias: settings[alias].secret_uri() for alias in settings}
        words = [sys.executable, str(PROGRAMS / "working.py"), json.dumps(uris)]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.told()

    @property
    def pid(self) -> int:
        return self.process.pid

    def do(self, deed: str) -> str:
        assert self.process.stdin is not None
        print(deed, file=self.process.stdin)
        return self.told()

    def told(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(ENDED_SECONDS)
        self.process.stdout.close()


@contextmanager
def working(settings: Settings) -> Iterator[Worker]:
    made = Worker(settings)
    try:
        yield made
    finally:
        made.kill()


class Imitated:
    """A worker that is its file alone: it tells what the test says, and lives until ``kill``."""

    def __init__(self, directory: Path, told: Report) -> None:
        self.files = WorkerFiles(directory)
        self.files.write(told.encoded())

    @property
    def file(self) -> Path:
        return self.files._path / self.files._own

    def kill(self) -> None:
        self.files.close()


@pytest.fixture
def imitated(own: Publisher, directory: Path) -> Iterator[Imitated]:
    """Another worker of the same application."""
    (inside,) = directory.iterdir()
    made = Imitated(inside, worker(OTHER))
    yield made
    with suppress(OSError):  # it was killed
        made.kill()


def seen() -> Snapshot:
    return take_snapshot(db.status(20.0), 20.0)


def processes(snapshot: Snapshot) -> list[int]:
    return [each.process for each in snapshot.workers.living]


def files_in(directory: Path) -> list[Path]:
    return [each for each in directory.rglob("*") if each.is_file()]


def total(snapshot: Snapshot) -> float:
    return snapshot.workers.together("default").counts["total"]


# One


def test_a_single_process_looks_as_it_always_did(own: Publisher) -> None:
    snapshot = seen()
    assert snapshot.of_all_workers() is snapshot
    text = page(snapshot)
    assert 'id="workers"' not in text
    assert f"those of process {os.getpid()} alone" in text


def test_a_process_that_uses_no_database_writes_nothing(directory: Path) -> None:
    db.disconnect_all()
    made = Publisher()
    made.offer()
    made.publish()
    made.end()
    assert files_in(directory) == []


def test_the_last_one_leaves_nothing(own: Publisher, directory: Path) -> None:
    assert len(files_in(directory)) == 1
    own.end()
    assert list(directory.iterdir()) == []


def test_off_is_off(settings: Settings, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "off")
    made = Publisher()
    made.offer()
    made.publish()
    made.end()
    assert not directory.exists()


# Several


def test_another_worker_is_shown_and_its_figures_are_added(
    own: Publisher, settings: Settings
) -> None:
    with working(settings) as other:
        other.do("count 7")
        other.do("publish")
        snapshot = seen()
        assert processes(snapshot) == [os.getpid(), other.pid]
        together = snapshot.of_all_workers().databases["default"]["commands"]["total"]
        alone = [each.databases["default"].counts["total"] for each in snapshot.workers.living]
        assert together == sum(alone)
        assert alone[1] >= 7
        text = page(snapshot)
    assert f">{other.pid}, since" in text
    assert f"process {os.getpid()} of 2 workers" in text


def test_a_worker_that_was_killed_leaves_its_counts_and_takes_its_connections_along(
    own: Publisher, settings: Settings
) -> None:
    with working(settings) as other:
        other.do("count 50")
        other.do("publish")
        before = seen()
        other.kill()
        after = seen()
        assert processes(after) == [os.getpid()]
        assert after.workers.ended.workers == 1
        assert total(after) >= total(before)
        of_self = after.workers.living[0].databases["default"].gauges
        assert after.workers.together("default").gauges == of_self


def test_a_worker_that_has_ended_is_counted_once_and_its_file_removed(
    own: Publisher, imitated: Imitated, directory: Path
) -> None:
    imitated.kill()
    for _ in range(3):
        ended = seen().workers.ended
        assert (ended.workers, ended.databases["default"]["slow"]) == (1, 7)
        own.publish()
    assert not imitated.file.exists()
    assert len(files_in(directory)) == 2  # its own, and the sums of those that have ended


def test_a_tidying_up_that_was_interrupted_counts_nobody_twice(
    own: Publisher, imitated: Imitated, monkeypatch: pytest.MonkeyPatch
) -> None:
    imitated.kill()
    with monkeypatch.context() as patch:
        patch.setattr(WorkerFiles, "remove", lambda *_: None)
        own.publish()
    assert imitated.file.exists()
    assert seen().workers.ended.workers == 1
    own.publish()
    assert seen().workers.ended.workers == 1


def test_a_worker_that_ends_in_order_leaves_what_it_has_counted_since_it_last_wrote(
    own: Publisher, settings: Settings
) -> None:
    with working(settings) as other:
        other.do("publish")
        before = total(seen())
        other.do("count 60")
        other.end()
        assert total(seen()) - before >= 60


def test_a_run_that_is_over_is_no_part_of_the_next(
    own: Publisher, imitated: Imitated, directory: Path
) -> None:
    imitated.kill()
    own.publish()
    assert own._files is not None
    own._files.let_go()  # as if it were killed too
    next_one = Publisher()
    next_one.offer()
    next_one.publish()
    try:
        assert not next_one.workers().are_several
        assert len(files_in(directory)) == 1
    finally:
        next_one.end()


def test_what_other_applications_have_left_is_removed_and_what_lives_stays(
    settings: Settings, directory: Path
) -> None:
    living, dead = (Imitated(directory / (digit * 16), worker(OTHER)) for digit in "ab")
    dead.kill()
    made = Publisher()
    made.offer()
    made.publish()
    try:
        assert {each.name for each in directory.iterdir()} > {"a" * 16}
        assert not dead.file.parent.exists()
        assert len(files_in(directory)) == 2
    finally:
        made.end()
        living.kill()


def test_workers_that_end_one_after_the_other_leave_nothing(
    own: Publisher, settings: Settings, directory: Path
) -> None:
    with working(settings) as other:
        other.do("publish")
        own.end()
        assert files_in(directory) != []
        other.end()
        assert list(directory.iterdir()) == []


def test_a_number_that_another_process_has_by_now_is_not_taken_for_the_worker(
    own: Publisher, imitated: Imitated
) -> None:
    imitated.kill()
    # As if that number were alive again: this process's own.
    imitated.file.rename(imitated.file.with_name(f"{os.getpid()}-aaaaaaaaaaaa.worker"))
    assert processes(seen()) == [os.getpid()]


def test_a_worker_that_hangs_is_told_to_be_silent(own: Publisher, imitated: Imitated) -> None:
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    imitated.files.write(worker(OTHER, at=hour_ago).encoded())
    assert "silent for 60 min" in page(seen())


def test_what_failed_in_other_workers_is_shown(own: Publisher, imitated: Imitated) -> None:
    database = replace(worker(OTHER).databases["default"], failures=(failure(),))
    imitated.files.write(worker(OTHER, databases={"default": database}).encoded())
    assert seen().workers.together("default").failures == (failure(),)
    assert "MaxTimeMSExpired (50)" in page(seen())


@pytest.mark.parametrize("fork", ["fork", "fork without handlers"])
def test_a_child_has_a_file_of_its_own_and_lets_go_of_its_parent_s(
    own: Publisher, settings: Settings, fork: str
) -> None:
    with working(settings) as other:
        other.do("publish")
        child = int(other.do(fork))
        try:
            found = seen()
            assert set(processes(found)) == {os.getpid(), other.pid, child}
            other.kill()  # its child lives on
            assert set(processes(seen())) == {os.getpid(), child}
        finally:
            os.kill(child, signal.SIGKILL)


def test_applications_don_t_mix(own: Publisher, directory: Path) -> None:
    other = Imitated(directory / ("a" * 16), worker(OTHER))
    try:
        assert processes(seen()) == [os.getpid()]
    finally:
        other.kill()


def test_the_key_tells_applications_apart(mongod: EmbeddedMongo) -> None:
    one, other = settings_for(mongod), settings_for(mongod)
    keys = {
        application_key("/srv/one", one.databases),
        application_key("/srv/one", other.databases),
        application_key("/srv/two", one.databases),
    }
    assert len(keys) == 3
    assert application_key("/srv/one", one.databases) in keys


# The files


def test_the_files_are_the_owner_s_alone(own: Publisher, directory: Path) -> None:
    modes = {stat.S_IMODE(each.stat().st_mode) for each in (directory, *directory.rglob("*"))}
    assert modes == {0o700, 0o600}


def test_no_secret_and_no_document_gets_into_a_file(
    own: Publisher, directory: Path, settings: Settings
) -> None:
    things = registry.connection("default").database.things
    things.insert_one({"_id": "canary-1"})
    for filter in ({"$nonsense": "canary-2"}, {"a": {"$in": "canary-3"}}):
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the server says
            things.find_one(filter)
    own.publish()
    text = "".join(each.read_text() for each in files_in(directory))
    assert found_in(text) is None
    assert "canary" not in text
    assert "find things" in text


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"format":2}', b'{"format":1}', b"\xff\xfe"],
    ids=["empty", "cut", "a list", "another version", "nothing in it", "no text"],
)
def test_a_damaged_file_is_told_and_costs_nothing_else(
    own: Publisher, settings: Settings, directory: Path, damage: bytes
) -> None:
    (inside,) = directory.iterdir()
    file = inside / "77-abcdefabcdef.worker"
    file.write_bytes(damage)
    file.chmod(0o600)
    (unreadable,) = seen().workers.unreadable
    assert unreadable.file == file.name
    assert f"{file.name} can&#x27;t be read" in page(seen())
    own.publish()  # it is nobody's any more
    assert seen().workers.unreadable == ()


def test_a_file_that_others_may_write_is_not_believed_nor_removed(
    own: Publisher, directory: Path
) -> None:
    (inside,) = directory.iterdir()
    good = files_in(directory)[0].read_bytes()
    file = inside / "77-abcdefabcdef.worker"
    file.write_bytes(good)
    file.chmod(0o666)
    assert [each.why for each in seen().workers.unreadable] == ["other users may write it"]
    own.publish()
    assert file.exists()
    assert processes(seen()) == [os.getpid()]


def test_a_link_is_not_followed(own: Publisher, directory: Path, tmp_path: Path) -> None:
    (inside,) = directory.iterdir()
    target = tmp_path / "elsewhere"
    target.write_bytes(files_in(directory)[0].read_bytes())
    target.chmod(0o600)
    (inside / "77-abcdefabcdef.worker").symlink_to(target)
    assert [each.why for each in seen().workers.unreadable] == ["it is no regular file"]


def test_a_directory_that_can_t_be_used_is_told_on_the_page(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    made = Publisher()
    monkeypatch.setattr("datalayer.web.snapshot.publisher", made)
    made.offer()
    made.publish()
    try:
        assert "Other workers are not known: File exists" in page(seen())
    finally:
        made.end()


def test_a_directory_that_was_removed_is_made_again(own: Publisher, directory: Path) -> None:
    (inside,) = directory.iterdir()
    for each in inside.iterdir():
        each.unlink()
    inside.rmdir()
    own.publish()
    assert len(files_in(directory)) == 1


def test_what_a_worker_left_that_was_killed_while_it_wrote_is_removed(
    own: Publisher, directory: Path
) -> None:
    (inside,) = directory.iterdir()
    (inside / "77-abcdefabcdef.worker.1234abcd.new").write_text("")
    own.publish()
    assert [each.suffix for each in files_in(directory)] == [".worker"]


# Whoever answers


def test_whoever_answers_tells_of_itself(
    directory: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Publisher()
    monkeypatch.setattr("datalayer.web.endpoints.publisher", made)
    Endpoints(token="a-token-of-16-characters")
    made.publish()
    try:
        assert len(files_in(directory)) == 1
    finally:
        made.end()


def test_json_tells_of_this_process_of_each_and_of_all(own: Publisher, imitated: Imitated) -> None:
    told: dict[str, Any] = json.loads(json.dumps(seen().as_json()))
    seen_by = [each["databases"]["default"] for each in told["workers"]["living"]]
    living = [each["counts"]["total"] for each in seen_by]
    assert living[1] == 7
    assert told["together"]["default"]["counts"]["total"] == sum(living)
    # Of this process alone, as before.
    assert told["databases"]["default"]["commands"]["total"] <= living[0]
