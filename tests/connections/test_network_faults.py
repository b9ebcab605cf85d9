"""A network that is cut, swallows everything or is slow: calls end in time, and work goes on by
itself when it is well again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from urllib.parse import quote_plus

import pytest
from credentials import APP_USER
from faulty_proxy import FaultyProxy
from fresh_databases import model_registry
from mongoengine import IntField
from observing import error_of
from waiting import wait_until

from datalayer import db
from datalayer.documents import Document
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import (
    DataLayerError,
    DeadlineExceededError,
    OutcomeUnknownError,
    PoolExhaustedError,
    UnavailableError,
)
from datalayer.service.events import Event
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
    Signal(number=1).save()
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
        call()
    assert db.status(timeout=1)["default"]["connected"] is False
    through.restore()
    assert error_of(Signal.objects.count) is None


def test_a_black_hole_makes_no_error_lie(through: FaultyProxy) -> None:
    """What it held up reaches the server when it is well again, long after the caller left."""
    errors: dict[int, DataLayerError | None] = {}

    def write(number: int) -> None:
        with db.deadline(0.5):
            errors[number] = error_of(Signal(number=number).save)

    threads = [threading.Thread(target=write, args=[number]) for number in range(1, 13)]
    through.hang()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    through.restore()
    Signal(number=13).save()
    unknown = {n for n, error in errors.items() if isinstance(error, OutcomeUnknownError)}
    wait_until(lambda: Signal.objects(number__in=unknown).count() == len(unknown))
    assert unknown, "those that had a connection have sent their writes"
    assert set(Signal.objects.scalar("number")) == {0, 13, *unknown}
    assert {type(error) for error in errors.values()} <= {
        OutcomeUnknownError,
        UnavailableError,
        DeadlineExceededError,
        PoolExhaustedError,  # of two that wait for one of the ten, until time is up
    }


def test_a_connection_that_hangs_while_logging_in_has_sent_no_write(
    auth_mongod: EmbeddedMongo,
) -> None:
    user, password = APP_USER
    with FaultyProxy(auth_mongod.hosts[0]) as proxy:
        uri = proxy.uri_for("test_logging_in").replace("://", f"://{user}:{quote_plus(password)}@")
        settings = Settings(databases={"default": f"{uri}&authSource=admin"})
        with model_registry(Signal), db.connected(settings):
            Signal(number=0).save()
            proxy.swallow_reply("saslContinue", times=1000, cut=False)
            proxy.cut()
            wait_until(lambda: db.status()["default"]["pool"]["cleared"] > 0)
            with db.deadline(1):
                error = error_of(Signal(number=1).save)
            proxy.restore()
            assert isinstance(error, (UnavailableError, DeadlineExceededError))
            Signal.drop_collection()


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
