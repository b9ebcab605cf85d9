"""Events are stored where they were recorded: in the database of the block, or of the router."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from recorded_events import Click, Reading
from waiting import wait_until

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.models import Metric
from datalayer.recorder import Recorder
from datalayer.recorder.queues import Target

Make = Callable[..., Recorder]
TENANTS = ("test_recorder_1_a", "test_recorder_1_b")


@pytest.fixture(autouse=True)
def no_tenants_before(proxy: FaultyProxy) -> Iterator[None]:
    yield
    db.router(None)
    db.tenants(alias="database1")
    for name in TENANTS:
        registry.own_connection("database1").client.drop_database(name)


def numbers(tenant: str | None, model: Any = Click) -> list[int]:
    if tenant is None:
        return sorted(each.number for each in model.objects)
    with db.using(database1=("database1", tenant)):
        return sorted(each.number for each in model.objects)


def record(recorder: Recorder, tenant: str, *events: int, model: Any = Click) -> None:
    with db.using(database1=("database1", tenant)):
        for number in events:
            recorder.record({"number": number}, model)


def test_events_go_to_the_database_of_the_block(make: Make) -> None:
    recorder = make()
    for number in range(10):
        recorder.record(Click(number=number))
        record(recorder, TENANTS[number % 2], number)
    assert recorder.flush(10)
    assert numbers(None) == list(range(10))
    assert [numbers(tenant) for tenant in TENANTS] == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]
    assert recorder.stats()["written"] == 20


def test_events_go_to_the_database_that_a_router_gave_in_the_recording_thread(make: Make) -> None:
    recorder = make()
    asked: list[str] = []

    def route(model: Any) -> tuple[str, str]:
        asked.append(model.__name__)
        return "database1", TENANTS[0]

    db.router(route)
    recorder.record(Click(number=1))
    assert asked == ["Click"]
    db.router(None)
    assert recorder.flush(10)
    assert (numbers(TENANTS[0]), numbers(None)) == ([1], [])


def test_events_go_to_the_alias_of_the_block(make: Make) -> None:
    recorder = make()
    with db.using(database1="default"):
        recorder.record(Click(number=1))
    assert recorder.flush(10)
    assert numbers(None) == []
    with db.using(database1="default"):
        assert numbers(None) == [1]
        Click.drop_collection()


def test_a_time_series_is_made_in_each_database(make: Make) -> None:
    recorder = make()
    with db.using(database1=("database1", TENANTS[0])):
        recorder.record(Reading(number=1, at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert recorder.flush(10)
    database = registry.own_connection("database1").client[TENANTS[0]]
    kinds = {each["name"]: each["type"] for each in database.list_collections()}
    assert kinds[Reading._get_collection_name()] == "timeseries"


def test_counters_add_up_in_the_aliass_own_database(make: Make) -> None:
    recorder = make()
    with db.using(database1=("database1", TENANTS[0])):
        recorder.counter("orders", Metric).inc(2)
    assert recorder.flush(10)
    assert Metric.objects.count() == 1


def test_one_queue_holds_the_events_of_all_databases(make: Make, proxy: FaultyProxy) -> None:
    recorder = make(capacity=100)
    proxy.refuse()
    for number in range(300):
        record(recorder, TENANTS[number % 2], number)
    assert len(recorder._state.queues) == 1
    assert recorder.stats()["waiting"] <= 100 + 2 * 8 * recorder.settings.batch_size


def test_a_name_that_is_not_allowed_is_refused_and_stops_no_other(make: Make) -> None:
    recorder = make()
    db.tenants("test_recorder_1_a", alias="database1")
    db.router(lambda model: ("database1", "admin"))
    recorder.record(Click(number=1))
    db.router(None)
    record(recorder, TENANTS[0], 2)
    recorder.record(Click(number=3))
    assert recorder.flush(10)
    assert recorder.stats()["refused"] == 1
    assert (numbers(TENANTS[0]), numbers(None)) == ([2], [3])


def test_the_spool_keeps_events_for_their_database(
    make: Make, proxy: FaultyProxy, tmp_path: Path
) -> None:
    first = make(policy="spool", spool_directory=tmp_path / "spool")
    proxy.refuse()
    record(first, TENANTS[0], 1, 2)
    record(first, TENANTS[1], 3)
    first.record(Click(number=4))
    wait_until(lambda: first.stats()["spooled"] == 4, 10, "all are on the disk")
    first.close(0)
    proxy.restore()
    wait_until(lambda: db.database1.is_connected, 60, "the database is back")
    second = make(policy="spool", spool_directory=tmp_path / "spool")
    second.record(Click(number=5))
    wait_until(lambda: second.stats()["written"] == 5, 30, "the spool was sent")
    assert [numbers(each) for each in (*TENANTS, None)] == [[1, 2], [3], [4, 5]]


def test_a_target_of_the_aliass_own_database_is_written_as_ever() -> None:
    target = Target("Click", "database1", "clicks")
    assert b"database\x00" not in target.written()
    assert Target.read(target.written()) == target
    elsewhere = target.on("tenant")
    assert Target.read(elsewhere.written()) == elsewhere
