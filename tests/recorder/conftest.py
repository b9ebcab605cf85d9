"""One connection for the tests of the recorder, to an analytics database behind a proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, emptied, model_registry
from recorded_events import Animal, Cat, Click, Reading, Seat, Visit
from waiting import wait_until

from datalayer import db
from datalayer.embedded import EmbeddedMongo
from datalayer.models import Metric
from datalayer.recorder import Recorder, RecorderSettings
from datalayer.settings import Settings

Make = Callable[..., Recorder]


@pytest.fixture(scope="module")
def line(mongod: EmbeddedMongo) -> Iterator[FaultyProxy]:
    with FaultyProxy(mongod.hosts[0]) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def shared(mongod: EmbeddedMongo, line: FaultyProxy) -> Iterator[Settings]:
    settings = Settings(
        databases={
            "default": mongod.uri_for("test_recorder"),
            "database1": line.uri_for("test_recorder_1") + "&heartbeatFrequencyMS=500",
        }
    )
    with model_registry(Animal, Cat, Click, Metric, Reading, Seat, Visit), connected(settings):
        yield settings


@pytest.fixture
def proxy(shared: Settings, line: FaultyProxy) -> Iterator[FaultyProxy]:
    """The way to the analytics database, whose collections are empty."""
    db.connect_all(shared)
    emptied(shared)
    yield line
    restored(line)


def restored(line: FaultyProxy) -> None:
    """Open the way again, and wait until this process has noticed."""
    line.restore()
    wait_until(lambda: db.database1.is_connected, 60, "the database is back")


@pytest.fixture
def make(proxy: FaultyProxy) -> Iterator[Make]:
    """Makes recorders, with short intervals unless told otherwise, and closes them."""
    made: list[Recorder] = []

    def build(**settings: Any) -> Recorder:
        recorder = Recorder(RecorderSettings(**{"interval_ms": 20, **settings}))
        made.append(recorder)
        return recorder

    yield build
    restored(proxy)
    for recorder in made:
        recorder.close(1)
