"""The recorder goes on, whatever its spool holds and whatever the disk does."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

import bson
import pytest
from faulty_proxy import FaultyProxy
from recorded_events import Click, Reading, framed
from waiting import wait_until

from datalayer import db
from datalayer.recorder import Recorder, spool_replay
from datalayer.recorder.batcher import Batcher
from datalayer.recorder.encoding import Encoder, target_of
from datalayer.recorder.queues import Target
from datalayer.recorder.sender import Sender
from datalayer.recorder.spool import segment
from datalayer.recorder.spool.frames import BATCH
from datalayer.recorder.spool.spool import Spool

Make = Callable[..., Recorder]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spooling(make: Make, directory: Path) -> Make:
    """Makes recorders with a spool."""

    def build(**settings: Any) -> Recorder:
        return make(policy="spool", spool_directory=directory, **settings)

    return build


class Disk:
    """Takes nothing while it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self.refused = threading.Event()
        write = segment._write_at

        def attempt(*args: Any) -> None:
            if self.is_full:
                self.refused.set()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(*args)

        monkeypatch.setattr(segment, "_write_at", attempt)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def event(number: int) -> bytes:
    return bson.encode({"_id": number, "number": number})


def numbers(model: Any = Click) -> list[int]:
    return sorted(each["number"] for each in model._get_collection().find())


def record(recorder: Recorder, found: range) -> None:
    for number in found:
        recorder.record({"number": number}, Click)


def away(proxy: FaultyProxy) -> None:
    proxy.refuse()
    wait_until(lambda: not db.database1.is_connected, 60, "the driver knows that it is gone")


def told(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [each.getMessage() for each in caplog.records if getattr(each, "event", "") == name]


# What it finds

STRANGE: dict[str, bytes] = {
    "another form": framed(
        BATCH, time(), bson.encode({**vars(target_of(Click)), "compression": "zstd"}), [event(1)]
    ),
    "no bson": framed(BATCH, time(), b"notbson", [event(1)]),
    "no documents": framed(BATCH, time(), target_of(Click).written(), [b"\x01"]),
    "a time that is none": framed(BATCH, float("nan"), target_of(Click).written(), [event(7)]),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_batch_that_is_not_understood_stops_no_other(
    spooling: Make, directory: Path, kind: str
) -> None:
    directory.mkdir()
    sound = framed(BATCH, time(), target_of(Click).written(), [event(5)])
    (directory / "1-aa.spool").write_bytes(STRANGE[kind] + sound)
    recorder = spooling()
    record(recorder, range(10, 20))
    expected = [5, *([7] if "time" in kind else []), *range(10, 20)]
    wait_until(lambda: numbers() == expected, 30, "all that is understood is stored")
    assert recorder.flush(30)
    assert recorder.stats()["waiting"] == 0
    assert (directory / "1-aa.damaged").exists() == ("time" not in kind)
    assert not (directory / "1-aa.spool").exists()


def test_events_of_a_model_that_stores_elsewhere_by_now_go_where_they_belong(
    spooling: Make, directory: Path
) -> None:
    directory.mkdir()
    before = Target("Click", "database1", "clicks_before")
    (directory / "1-aa.spool").write_bytes(framed(BATCH, time(), before.written(), [event(5)]))
    recorder = spooling()
    record(recorder, range(1))
    wait_until(lambda: recorder.stats()["recovered"] == 1, 30, "it is found")
    assert recorder.flush(30)
    database = Click._get_collection().database
    assert [each["number"] for each in database["clicks_before"].find()] == [5]
    database.drop_collection("clicks_before")


def test_an_event_that_is_refused_in_a_spool_stops_no_other(
    spooling: Make, directory: Path, proxy: FaultyProxy
) -> None:
    directory.mkdir()
    recorder = spooling()
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    good = [bson.encode({"_id": n, "number": n, "at": moment}) for n in range(10)]
    bad = bson.encode({"_id": {"a": 1}, "number": 10, "at": "soon"})
    recorder.record({"number": 10, "at": moment}, Reading)
    assert recorder.flush(30)
    batch = framed(BATCH, time(), target_of(Reading).written(), [*good[:5], bad, *good[5:]])
    (directory / "1-aa.spool").write_bytes(batch)
    other = spooling()
    other.record({"number": 11, "at": moment}, Reading)
    wait_until(lambda: other.stats()["recovered"] == 11, 30, "it is found")
    assert other.flush(30)
    assert numbers(Reading) == list(range(12))
    assert (other.stats()["refused"], other.stats()["waiting"]) == (1, 0)


def spooled_at_first(recorder: Recorder) -> int:
    """How many of the events so far were spooled, once all are stored and the spool is open: what
    is sent before it is open need not be."""
    assert recorder.flush(30)
    wait_until(lambda: recorder._state.spool and not recorder._state.spool_pause, 30, "it is open")
    return int(recorder.stats()["spooled"])


def test_a_batch_that_the_disk_has_lost_costs_itself(
    spooling: Make, directory: Path, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = spooling(batch_size=10, connections=1)
    record(recorder, range(1))
    before = spooled_at_first(recorder)
    away(proxy)
    record(recorder, range(10, 60))
    wait_until(lambda: recorder.stats()["spooled"] == before + 50, 30, "they are spooled")
    (path,) = directory.glob("*.spool")
    content = bytearray(path.read_bytes())
    content[content.index(b"number\x00" + (35).to_bytes(4, "little")) + 7] ^= 1
    path.write_bytes(content)
    proxy.restore()
    wait_until(lambda: recorder.stats()["waiting"] == 0, 60, "the others are stored")
    assert numbers() == [0, *range(10, 30), *range(40, 60)]
    assert recorder.stats()["refused"] == 10
    assert len(told(caplog, "recorder_spool_damaged")) == 1
    wait_until(lambda: list(directory.glob("*.damaged")), 30, "the file is kept")


def test_a_large_spool_is_lined_up_bit_by_bit(
    spooling: Make, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what is recorded meanwhile doesn't wait for all of it."""
    monkeypatch.setattr(spool_replay, "_AT_ONCE_SECONDS", 0)
    rounds: list[int] = []
    make_batches = Batcher.make_batches

    def count(self: Any) -> None:
        rounds.append(1)
        make_batches(self)

    monkeypatch.setattr(Batcher, "make_batches", count)
    directory.mkdir()
    header = target_of(Click).written()
    batches = [framed(BATCH, time(), header, [event(number)]) for number in range(1, 20)]
    (directory / "1-aa.spool").write_bytes(b"".join(batches))
    recorder = spooling(interval_ms=60_000)
    record(recorder, range(1))
    wait_until(lambda: recorder.stats()["recovered"] == 19, 30, "all is found")
    assert len(rounds) >= 19
    assert recorder.flush(30)
    assert numbers() == list(range(20))


# A disk that fails


def test_a_disk_that_was_full_is_used_again(
    spooling: Make, disk: Disk, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "datalayer.recorder")
    recorder = spooling(batch_size=10, capacity=50)
    record(recorder, range(10))
    assert recorder.flush(30)
    away(proxy)
    disk.is_full = True
    record(recorder, range(10, 20))
    assert disk.refused.wait(60)
    spooled = recorder.stats()["spooled"]
    disk.is_full = False
    record(recorder, range(20, 40))
    wait_until(lambda: recorder.stats()["spooled"] == spooled + 30, 60, "all is spooled")
    wait_until(lambda: told(caplog, "recorder_spool_again"), 30, "it is told")
    assert told(caplog, "recorder_spool_full") == [
        "the recorder's spool takes nothing now (No space left on device); events wait in memory, "
        "and it is tried again"
    ]
    proxy.restore()
    wait_until(lambda: recorder.stats()["waiting"] == 0, 60, "all is stored")
    assert numbers() == list(range(40))


def test_what_waits_in_memory_while_the_disk_is_full_is_bounded_and_losses_are_counted(
    spooling: Make, disk: Disk, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []
    append = Spool.append

    def count(self: Any, *args: Any) -> Any:
        attempts.append(1)
        return append(self, *args)

    recorder = spooling(batch_size=10, capacity=50, connections=2)
    record(recorder, range(10))
    before = spooled_at_first(recorder)
    away(proxy)
    disk.is_full = True
    monkeypatch.setattr(Spool, "append", count)
    record(recorder, range(10, 500))
    wait_until(lambda: len(attempts) > 3, 60, "it was tried some times")
    assert recorder.stats()["waiting"] <= 50 + 3 * 10
    disk.is_full = False
    kept = recorder.stats()["waiting"]
    assert recorder.stats()["dropped"] == 490 - kept
    wait_until(lambda: recorder.stats()["spooled"] == before + kept, 60, "the rest is spooled")
    proxy.restore()
    wait_until(lambda: recorder.stats()["waiting"] == 0, 60, "all is stored")
    assert len(numbers()) == 10 + kept


def test_a_disk_that_stays_full_is_told_once(
    spooling: Make, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = spooling(batch_size=5)
    disk.is_full = True
    record(recorder, range(100))
    assert recorder.flush(30)
    record(recorder, range(100, 200))
    assert recorder.flush(30)
    assert numbers() == list(range(200))
    assert len(told(caplog, "recorder_spool_full")) == 1
    assert "No space left on device" in told(caplog, "recorder_spool_full")[0]


def test_a_spool_that_could_not_be_opened_is_tried_again(
    spooling: Make, directory: Path, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    directory.write_text("in the way")
    recorder = spooling()
    record(recorder, range(10))
    assert recorder.flush(30)
    away(proxy)
    record(recorder, range(10, 20))
    wait_until(lambda: told(caplog, "recorder_spool_unusable"), 30, "it is told")
    assert recorder.stats()["spooled"] == 0
    directory.unlink()
    wait_until(lambda: recorder.stats()["spooled"] == 10, 60, "what waited is spooled")
    assert len(told(caplog, "recorder_spool_unusable")) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_keeps_events_in_memory(
    spooling: Make, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory.mkdir()
    os.chown(directory, 12345, -1)
    recorder = spooling()
    record(recorder, range(10))
    assert recorder.flush(30)
    assert numbers() == list(range(10))
    assert list(directory.iterdir()) == []
    assert "(it belongs to another user)" in told(caplog, "recorder_spool_unusable")[0]


# Its threads


@pytest.mark.parametrize(
    ("where", "name"),
    [(Batcher, "make_batches"), (Batcher, "do_due_tasks"), (Sender, "pick"), (Spool, "adopt")],
)
def test_a_thread_that_meets_what_nobody_foresaw_goes_on(
    spooling: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: type,
    name: str,
) -> None:
    original = getattr(where, name)

    def fail(self: Any) -> Any:
        monkeypatch.setattr(where, name, original)
        raise KeyError("canary")

    monkeypatch.setattr(where, name, fail)
    recorder = spooling()
    record(recorder, range(10))
    wait_until(lambda: told(caplog, "recorder_failed"), 30, "it is told")
    assert recorder.flush(30)
    assert numbers() == list(range(10))
    assert told(caplog, "recorder_failed") == [
        "a thread of the recorder failed (KeyError), and goes on after a pause"
    ]
    assert "canary" not in caplog.text


def test_events_that_a_thread_had_in_hand_when_it_failed_are_counted(
    spooling: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = Encoder.documents

    def fail(self: Any, *args: Any) -> Any:
        monkeypatch.setattr(Encoder, "documents", original)
        raise KeyError("canary")

    recorder = spooling(interval_ms=60_000)
    record(recorder, range(10))
    monkeypatch.setattr(Encoder, "documents", fail)
    assert recorder.flush(30)
    record(recorder, range(10, 20))
    assert recorder.flush(30)
    assert numbers() == list(range(10, 20))
    found = recorder.stats()
    assert (found["recorded"], found["written"], found["dropped"], found["waiting"]) == (
        20,
        10,
        10,
        0,
    )


def test_a_spool_that_had_reached_its_limit_is_used_again(
    spooling: Make, proxy: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = spooling(batch_size=50, capacity=100, spool_max_megabytes=0.02)
    record(recorder, range(10))
    assert recorder.flush(30)
    for _ in range(2):
        before = recorder.stats()["spooled"]
        away(proxy)
        while not recorder._state.spool_is_full:
            record(recorder, range(50))
        assert before < recorder.stats()["spooled"]
        proxy.restore()
        wait_until(lambda: recorder.stats()["waiting"] == 0, 60, "what was kept is stored")
    assert told(caplog, "recorder_spool_full")[0].count("its limit is reached") == 1
    assert recorder.stats()["written"] == len(numbers())
