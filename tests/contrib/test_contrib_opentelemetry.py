"""What OpenTelemetry's SDK collects, with real traffic on real servers.

The names, units and attributes are those of
https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from opentelemetry.metrics import Histogram, NoOpHistogram, NoOpMeter, NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv._incubating.metrics import db_metrics as incubating_db_metrics
from opentelemetry.semconv.metrics import db_metrics
from pymongo.cursor import CursorType
from pymongo.errors import AutoReconnect, OperationFailure
from running_programs import python, report_of

from datalayer import Settings, db
from datalayer.contrib import opentelemetry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import PoolExhaustedError

OPERATIONS = "db.client.operation.duration"
POOL = "db.client.connection.pool.name"


class Collected:
    """What a reader collects of datalayer's instruments."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])

    def metrics(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str, **wanted: str) -> list[Any]:
        """The points of a metric that have these attributes; ``__`` stands for a dot."""
        metric = self.metrics().get(name)
        attributes = {key.replace("__", "."): value for key, value in wanted.items()}
        return [
            point
            for point in (metric.data.data_points if metric else ())
            if attributes.items() <= dict(point.attributes).items()
        ]

    def of_default(self, name: str, **wanted: str) -> Any:
        """The one point of the pool ``default``."""
        (point,) = self.points(name, db__client__connection__pool__name="default", **wanted)
        return point

    def connections(self, state: str) -> float:
        """How many are in ``state``."""
        name = "db.client.connection.count"
        number: float = self.of_default(name, db__client__connection__state=state).value
        return number

    def commands(self, name: str, pool: str = "default") -> int:
        """How many commands of this name were measured."""
        points = [p for p in self.points(OPERATIONS) if p.attributes[POOL] == pool]
        return sum(p.count for p in points if p.attributes["db.operation.name"] == name)


@pytest.fixture
def collected() -> Iterator[Collected]:
    collected = Collected()
    yield collected
    opentelemetry.uninstrument()
    collected.provider.shutdown()


@pytest.fixture
def settings(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry():
        yield settings_for(mongod)


def ask(times: int = 1) -> None:
    for _ in range(times):
        db.database.client.admin.command("buildInfo")


# Operations


def test_each_command_is_measured_once(settings: Settings, collected: Collected) -> None:
    opentelemetry.instrument(collected.provider)
    with connected(settings):
        ask(300)
        assert collected.commands("buildInfo") == 300
        assert collected.commands("buildInfo", "database1") == 0


def test_a_command_is_described_as_the_conventions_want_it(
    mongod: EmbeddedMongo, settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    with connected(settings):
        ask()
        metric = collected.metrics()[OPERATIONS]
    (point,) = [
        p for p in metric.data.data_points if p.attributes["db.operation.name"] == "buildInfo"
    ]
    host, _, port = mongod.hosts[0].partition(":")
    assert dict(point.attributes) == {
        "db.system.name": "mongodb",
        "db.namespace": settings["default"].database,
        "db.operation.name": "buildInfo",
        "server.address": host,
        "server.port": int(port),
        POOL: "default",
    }
    assert metric.unit == "s"
    assert point.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)


def test_the_server_is_left_out_where_there_are_several(
    replset: EmbeddedMongo, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    with model_registry(), connected(settings_for(replset)):
        ask()
        assert all("server.address" not in p.attributes for p in collected.points(OPERATIONS))


def test_a_command_that_the_server_refuses_has_its_code_as_the_errors_type(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    with connected(settings):
        with pytest.raises(OperationFailure):
            db.database.client.admin.command("noSuchCommand")
        (point,) = collected.points(OPERATIONS, error__type="59")
    assert point.count == 1
    assert point.attributes["db.response.status_code"] == "59"


def test_a_command_without_an_answer_has_the_drivers_error_as_its_type(
    mongod: EmbeddedMongo, database_name: str, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    with FaultyProxy(mongod.hosts[0]) as proxy, model_registry():
        uri = f"{proxy.uri_for(database_name)}&retryReads=false"
        with connected(Settings(databases={"default": uri})):
            proxy.swallow_reply("find")
            with pytest.raises(AutoReconnect):
                things().find_one()
            points = [p for p in collected.points(OPERATIONS) if "error.type" in p.attributes]
    assert [(p.attributes["error.type"], p.count) for p in points] == [("AutoReconnect", 1)]
    assert "db.response.status_code" not in points[0].attributes


# Pools


def things() -> Any:
    return db.database.client[db.database.name].things


def test_the_pool_is_observed(mongod: EmbeddedMongo, collected: Collected) -> None:
    opentelemetry.instrument(collected.provider)
    small = settings_for(mongod, max_pool_size=1, min_pool_size=1, wait_queue_timeout_ms=50)
    with model_registry(), connected(small):
        things().insert_many([{"number": number} for number in range(300)])
        cursor = things().find(cursor_type=CursorType.EXHAUST, batch_size=1)
        next(cursor)  # keeps its connection until it is closed
        with pytest.raises(PoolExhaustedError):
            ask()
        assert collected.connections("used") == 1
        assert collected.connections("idle") == 0
        cursor.close()
        assert collected.connections("used") == 0
        assert collected.connections("idle") == 1
        assert collected.of_default("db.client.connection.max").value == 1
        assert collected.of_default("db.client.connection.idle.min").value == 1
        assert collected.of_default("db.client.connection.pending_requests").value == 0
        assert collected.of_default("db.client.connection.timeouts").value == 1


def test_a_counter_does_not_go_back_when_a_database_is_connected_anew(
    mongod: EmbeddedMongo, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    small = settings_for(mongod, max_pool_size=1, min_pool_size=1, wait_queue_timeout_ms=50)
    told = []
    with model_registry():
        for _ in range(2):
            with connected(small):
                things().insert_many([{"number": number} for number in range(300)])
                cursor = things().find(cursor_type=CursorType.EXHAUST, batch_size=1)
                next(cursor)  # keeps its connection until it is closed
                with pytest.raises(PoolExhaustedError):
                    ask()
                cursor.close()
                told.append(collected.of_default("db.client.connection.timeouts").value)
    assert told == [1, 2]


def test_the_instruments_have_the_units_of_the_conventions(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider, connection_times=True)
    with connected(settings):
        ask()
        units = {name: metric.unit for name, metric in collected.metrics().items()}
    assert units == {
        "db.client.operation.duration": "s",
        "db.client.connection.count": "{connection}",
        "db.client.connection.max": "{connection}",
        "db.client.connection.idle.min": "{connection}",
        "db.client.connection.pending_requests": "{request}",
        "db.client.connection.timeouts": "{timeout}",
        "db.client.connection.create_time": "s",
        "db.client.connection.wait_time": "s",
        "db.client.connection.use_time": "s",
    }


def test_the_names_are_those_of_the_conventions(settings: Settings, collected: Collected) -> None:
    opentelemetry.instrument(collected.provider, connection_times=True)
    with connected(settings):
        ask()
        names = set(collected.metrics())
    modules = (db_metrics, incubating_db_metrics)
    known = [value for each in modules for value in vars(each).values()]
    assert {name for name in names if name not in known} == set()


def test_each_use_of_a_connection_is_measured_on_request(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider, connection_times=True)
    with connected(settings):
        things().insert_one({})

        def counts() -> list[int]:
            names = ("db.client.connection.wait_time", "db.client.connection.use_time")
            return [collected.of_default(name).count for name in names]

        before = counts()
        ask(10)
        things().find_one({"$where": "sleep(100) || true"})
        assert counts() == [number + 11 for number in before]
        used = collected.of_default("db.client.connection.use_time")
    assert used.max >= 0.1


def test_a_connection_is_measured_though_others_are_used_meanwhile(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider, connection_times=True)
    with connected(settings):
        things().insert_many([{"number": number} for number in range(300)])
        before = collected.of_default("db.client.connection.use_time").count
        cursor = things().find(cursor_type=CursorType.EXHAUST, batch_size=1)
        next(cursor)  # keeps its connection until it is closed
        things().find_one({"$where": "sleep(100) || true"})
        cursor.close()
        used = collected.of_default("db.client.connection.use_time")
    assert used.count == before + 2
    assert used.sum >= 0.2


def test_connections_are_measured_as_they_are_made(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    with connected(settings):
        created = collected.of_default("db.client.connection.create_time")
        assert created.count == db.database.status()["pool"]["created"]


# Switching on and off


def test_without_durations_operations_are_not_slowed(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider, operation_times=False)
    with connected(settings):
        ask()
        assert OPERATIONS not in collected.metrics()
        assert collected.of_default("db.client.connection.max").value == 10


def test_databases_that_are_connected_already_are_measured(
    settings: Settings, collected: Collected
) -> None:
    with connected(settings):
        opentelemetry.instrument(collected.provider, connection_times=True)
        ask(3)
        assert collected.commands("buildInfo") == 3


def test_instrumenting_twice_measures_nothing_twice(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    opentelemetry.instrument(collected.provider)
    with connected(settings):
        ask(3)
        assert collected.commands("buildInfo") == 3
        assert collected.of_default("db.client.connection.max").value == 10


def test_after_uninstrumenting_nothing_is_measured(
    settings: Settings, collected: Collected
) -> None:
    opentelemetry.instrument(collected.provider)
    with connected(settings):
        ask(3)
        opentelemetry.uninstrument()
        ask(3)
        assert collected.commands("buildInfo") == 3
        assert collected.points("db.client.connection.max") == []


def test_an_operation_that_interrupts_the_recording_of_another_is_not_recorded(
    settings: Settings,
) -> None:
    recorded: list[float] = []

    class Interrupted(NoOpHistogram):
        """As if a signal came while the SDK holds its lock, and its handler asked a database."""

        def record(self, amount: float, *args: Any, **kwargs: Any) -> None:
            recorded.append(amount)
            assert len(recorded) < 5
            ask()

    class Meter(NoOpMeter):
        def create_histogram(self, name: str, *args: Any, **kwargs: Any) -> Histogram:
            return Interrupted(name) if name == OPERATIONS else NoOpHistogram(name)

    class Provider(NoOpMeterProvider):
        def get_meter(self, name: str, *args: Any, **kwargs: Any) -> NoOpMeter:
            return Meter(name)

    with connected(settings):
        opentelemetry.instrument(Provider())
        ask()
        opentelemetry.uninstrument()
    assert len(recorded) == 1


@pytest.mark.parametrize("order", ["metrics first", "spans first"])
def test_pymongos_instrumentation_makes_its_spans_beside_it(
    uris: dict[str, str], order: str
) -> None:
    report = report_of("tracing.py", {**uris, "PYTHONWARNINGS": "error"}, order)
    assert report == {"spans": 20, "measured": 20, "counted": 20}


def test_without_its_package_the_import_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None; import datalayer.contrib.opentelemetry"
    )
    done = python("-c", program)
    assert 'pip install "mongoengine-datalayer[opentelemetry]"' in done.stderr
