"""What Prometheus is told, with real traffic on real servers."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from credentials import APP_USER
from fresh_databases import connected, model_registry, settings_for
from observing import NO_OTHER_LIMIT
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from pymongo.cursor import CursorType
from pymongo.errors import OperationFailure
from running_programs import python
from waiting import wait_until

from datalayer import Settings, db, recorder
from datalayer.contrib import prometheus
from datalayer.contrib.prometheus.multiprocess import Publisher
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import PoolExhaustedError
from datalayer.models import AnalyticsEvent

LONG_SECONDS = 120.0


class Exposed(CollectorRegistry):
    """A registry with datalayer's figures, and the questions of these tests."""

    def __init__(self) -> None:
        super().__init__()
        prometheus.register(self)

    def value(self, name: str, alias: str | None = "default", **labels: str) -> float | None:
        aliases = {} if alias is None else {"alias": alias}
        return self.get_sample_value(f"datalayer_{name}", {**aliases, **labels})

    def state(self, alias: str = "default") -> str:
        """The one state that the database is in."""
        states = {
            sample.labels["state"]: sample.value
            for family in self.collect()
            if family.name == "datalayer_database_state"
            for sample in family.samples
            if sample.labels["alias"] == alias
        }
        (state,) = [state for state, value in states.items() if value == 1]
        assert sum(states.values()) == 1
        return state

    def text(self) -> str:
        return generate_latest(self).decode()


@pytest.fixture
def exposed() -> Exposed:
    return Exposed()


@pytest.fixture
def settings(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(), connected(settings_for(mongod)) as settings:
        yield settings


@pytest.fixture
def one_connection(mongod: EmbeddedMongo) -> Iterator[None]:
    """A pool of one, and documents to read."""
    small = settings_for(mongod, max_pool_size=1, min_pool_size=1, wait_queue_timeout_ms=100)
    with model_registry(), connected(small):
        things().insert_many([{"number": number} for number in range(300)])
        yield


def things() -> Any:
    return db.database.client[db.database.name].things


@contextmanager
def the_only_connection_held() -> Iterator[None]:
    """An exhaust cursor keeps its connection until it is closed."""
    cursor = things().find(cursor_type=CursorType.EXHAUST, batch_size=1)
    next(cursor)
    try:
        yield
    finally:
        cursor.close()


# Counting


def test_commands_are_counted_and_timed(settings: Settings, exposed: Exposed) -> None:
    before = exposed.value("command_duration_seconds_count") or 0
    for _ in range(300):
        db.database.client.admin.command("ping")
    with suppress(OperationFailure):
        db.database.client.admin.command("noSuchCommand")
    assert exposed.value("command_duration_seconds_count") == before + 301
    assert exposed.value("command_duration_seconds_bucket", le="+Inf") == before + 301
    assert exposed.value("command_failures_total") == 1
    seconds = exposed.value("command_duration_seconds_sum")
    assert seconds is not None
    assert 0 < seconds < LONG_SECONDS


def test_reading_the_figures_asks_no_server_and_counts_nothing(
    settings: Settings, exposed: Exposed
) -> None:
    def counted() -> dict[str, float]:
        return {
            f"{sample.name} {sample.labels}": sample.value
            for family in exposed.collect()
            if family.type != "gauge" and "heartbeat" not in family.name
            for sample in family.samples
        }

    assert counted() == counted()


def test_a_database_counts_for_itself(settings: Settings, exposed: Exposed) -> None:
    before = exposed.value("command_duration_seconds_count", "database1")
    db.database.client.admin.command("ping")
    assert exposed.value("command_duration_seconds_count", "database1") == before


def test_slow_commands_are_counted(mongod: EmbeddedMongo, exposed: Exposed) -> None:
    with model_registry(), connected(settings_for(mongod, slow_ms=200)):
        before = exposed.value("slow_commands_total") or 0
        things().insert_one({})
        things().find_one({"$where": "sleep(300) || true"})
        # A busy machine makes others slow, too.
        assert (exposed.value("slow_commands_total") or 0) >= before + 1


def test_heartbeats_are_counted(settings: Settings, exposed: Exposed) -> None:
    assert (exposed.value("heartbeats_total") or 0) >= 1
    assert exposed.value("heartbeat_failures_total") == 0


def test_what_becomes_of_recorded_events_is_counted(
    mongod: EmbeddedMongo, exposed: Exposed
) -> None:
    def figures() -> list[float | None]:
        return [
            exposed.value(f"recorder_events_{name}", None)
            for name in ("written_total", "dropped_total", "refused_total", "waiting")
        ]

    with model_registry(AnalyticsEvent), connected(settings_for(mongod)):
        recorder.flush()
        before = figures()
        for _ in range(5):
            recorder.record({"name": "page.viewed"}, AnalyticsEvent)
        recorder.record({"name": object()}, AnalyticsEvent)
        recorder.flush(LONG_SECONDS)
        changes = [now - then for now, then in zip(figures(), before, strict=True)]  # type: ignore[operator]
        assert changes == [5, 1, 1, 0]
        assert exposed.value("recorder_lag_seconds", None) == 0


# Pools


def test_a_connection_is_idle_or_used(one_connection: None, exposed: Exposed) -> None:
    def connections() -> tuple[float | None, float | None]:
        return tuple(exposed.value("pool_connections", state=state) for state in ("idle", "used"))  # type: ignore[return-value]

    assert connections() == (1, 0)
    with the_only_connection_held():
        assert connections() == (0, 1)


def test_operations_that_wait_for_a_connection_are_told(
    mongod: EmbeddedMongo, exposed: Exposed
) -> None:
    small = settings_for(mongod, max_pool_size=1, min_pool_size=1, wait_queue_timeout_ms=30_000)
    with model_registry(), connected(small):
        things().insert_many([{"number": number} for number in range(300)])
        waited = exposed.value("pool_wait_seconds_count") or 0
        thread = threading.Thread(target=lambda: things().find_one())
        with the_only_connection_held():
            thread.start()
            wait_until(lambda: exposed.value("pool_pending_requests") == 1)
        thread.join()
        assert exposed.value("pool_pending_requests") == 0
        assert exposed.value("pool_wait_seconds_count") == waited + 2


def test_an_operation_that_gets_no_connection_in_time_is_counted(
    one_connection: None, exposed: Exposed
) -> None:
    with the_only_connection_held(), pytest.raises(PoolExhaustedError):
        things().find_one()
    assert exposed.value("pool_timeouts_total") == 1


def test_the_sizes_of_the_pool_are_told(mongod: EmbeddedMongo, exposed: Exposed) -> None:
    with model_registry(), connected(settings_for(mongod, max_pool_size=7, min_pool_size=2)):
        assert exposed.value("pool_connections_max") == 7
        assert exposed.value("pool_connections_min") == 2
        assert (exposed.value("pool_connections_created_total") or 0) >= 2


# The state of the databases


def test_before_connecting_there_is_nothing_to_tell_of_databases(exposed: Exposed) -> None:
    assert "alias=" not in exposed.text()


def test_after_disconnecting_there_is_nothing_to_tell_of_databases(
    mongod: EmbeddedMongo, exposed: Exposed
) -> None:
    with model_registry(), connected(settings_for(mongod)):
        assert exposed.state() == "connected"
        assert 'alias="default"' in exposed.text()
    assert "alias=" not in exposed.text()


def test_a_database_that_was_closed_alone_is_told_as_disconnected(
    settings: Settings, exposed: Exposed
) -> None:
    db.database1.disconnect()
    assert (exposed.state("default"), exposed.state("database1")) == ("connected", "disconnected")
    assert exposed.value("database_required", "database1") == 0


def test_required_databases_are_told_from_optional_ones(
    settings: Settings, exposed: Exposed
) -> None:
    assert exposed.value("database_required") == 1
    assert exposed.value("database_required", "database1") == 0


def test_a_database_that_goes_away_is_told_without_waiting_for_it(exposed: Exposed) -> None:
    with (
        EmbeddedMongo(in_memory=True) as server,
        model_registry(),
        connected(settings_for(server, **NO_OTHER_LIMIT)),
    ):
        assert exposed.value("circuit_breaker_open", "database1") == 0
        server.kill(0)
        wait_until(lambda: exposed.state("default") == "unavailable")
        wait_until(lambda: exposed.state("database1") == "unavailable")
        wait_until(lambda: exposed.value("circuit_breaker_open", "database1") == 1)
        assert exposed.value("servers", role="unknown") == 1
        assert (exposed.value("heartbeat_failures_total", "database1") or 0) >= 1
        assert exposed.text()
        server.start()


def test_the_servers_of_a_replica_set_are_told_by_their_role(
    replset: EmbeddedMongo, exposed: Exposed
) -> None:
    with model_registry(), connected(settings_for(replset)):
        wait_until(lambda: exposed.value("servers", role="secondary") == 2)
        assert exposed.value("servers", role="primary") == 1
        assert exposed.value("servers", role="unknown") == 0
        assert 0 <= (exposed.value("replication_lag_seconds") or 0) < LONG_SECONDS


def test_nothing_exposed_tells_hosts_users_passwords_or_contents(
    auth_mongod: EmbeddedMongo, exposed: Exposed
) -> None:
    uri = auth_mongod.uri_for("private_database")
    with model_registry(), connected(Settings(databases={"default": uri})):
        things().insert_one({"name": "canary-4711"})
        text = exposed.text()
    user, password = APP_USER
    told = [
        each
        for each in (f"{user}:", password, "127.0.0.1", "private_database", "canary")
        if each in text
    ]
    assert told == []


# Registering


def test_registering_twice_counts_nothing_twice(settings: Settings, exposed: Exposed) -> None:
    prometheus.register(exposed)
    lines = [line for line in exposed.text().splitlines() if not line.startswith("#")]
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines})


def test_a_metric_of_the_same_name_is_refused() -> None:
    registry = CollectorRegistry()
    Gauge("datalayer_pool_connections", "another's", registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        prometheus.register(registry)


def test_what_was_unregistered_is_exposed_no_longer(exposed: Exposed) -> None:
    prometheus.unregister(exposed)
    assert exposed.text() == ""


def test_the_metrics_are_named_as_promtool_wants_it(settings: Settings, exposed: Exposed) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; Debian has it in the package prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=exposed.text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_without_its_package_the_import_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None; import datalayer.contrib.prometheus"
    )
    done = python("-c", program)
    assert 'pip install "mongoengine-datalayer[prometheus]"' in done.stderr


def test_the_thread_that_writes_for_several_processes_takes_no_signals() -> None:
    publisher = Publisher()
    publisher.start(interval_seconds=60)
    try:
        (thread,) = (each for each in threading.enumerate() if each.name == "datalayer-prometheus")
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    finally:
        publisher.stop()
    (held,) = re.findall(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)
    wanted = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert {each for each in wanted if int(held, 16) >> (each - 1) & 1} == wanted
