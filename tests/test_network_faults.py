"""A network that is cut, swallows everything or is slow: calls end in time, and work goes on by
itself when it is well again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import IntField

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError
from datalayer.events import Event
from datalayer.settings import Settings


class Signal(Document):
    number = IntField()


@pytest.fixture
def proxy(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: FaultyProxy, database_name: str) -> Iterator[FaultyProxy]:
    with (
        model_registry(Signal),
        db.connected(Settings(databases={"default": proxy.uri_for(database_name)})),
    ):
        Signal(number=0).save()
        yield proxy
        proxy.restore()


def error_of(call: Callable[[], object]) -> DataLayerError | None:
    try:
        call()
    except DataLayerError as exc:
        return exc
    return None


def seconds_of(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def test_after_a_cut_reads_and_writes_go_on(through: FaultyProxy) -> None:
    for number in range(1, 20):
        through.cut()
        Signal(number=number).save()
        through.cut()
        assert Signal.objects(number=number).count() == 1


def test_after_an_outage_work_goes_on_without_a_restart(through: FaultyProxy) -> None:
    through.refuse()
    with db.deadline(0.5):
        assert error_of(Signal.objects.count) is not None
    through.restore()
    assert seconds_of(lambda: Signal(number=1).save()) < 2
    assert db.status()["default"]["state"] == "connected"


def test_a_black_hole_ends_each_call_at_its_deadline(through: FaultyProxy) -> None:
    through.hang()

    def read() -> None:
        with db.deadline(1):
            assert error_of(Signal.objects.first) is not None

    def write() -> None:
        with db.deadline(1):
            assert error_of(Signal(number=1).save) is not None

    for call in (read, write, read):
        assert seconds_of(call) <= 1.5
    assert seconds_of(lambda: db.status(timeout=1)) <= 1.1
    through.restore()
    assert error_of(Signal.objects.count) is None


@pytest.mark.slow
def test_a_slow_network_works_with_a_log_line_and_without_an_alarm(
    through: FaultyProxy, caplog: pytest.LogCaptureFixture
) -> None:
    alarms: list[Event] = []
    for name in ("unavailable", "recovered", "pool_exhausted"):
        db.database.on(name, alarms.append)
    through.delay(0.1)
    with caplog.at_level(logging.WARNING, "datalayer.commands"):
        for number in range(1, 11):
            Signal(number=number).save()
    assert Signal.objects.count() == 11
    status = db.status()["default"]
    through.restore()
    for name in ("unavailable", "recovered", "pool_exhausted"):
        db.database.off(name, alarms.append)
    slow = [record for record in caplog.records if record.event == "slow_command"]  # type: ignore[attr-defined]
    assert len([record for record in slow if record.command == "insert"]) == 10  # type: ignore[attr-defined]
    assert alarms == []
    assert (status["state"], status["pool"]["timeouts"], status["pool"]["in_use"]) == (
        "connected",
        0,
        0,
    )
    assert status["latency_ms"] >= 200
