"""What failed, by kind: where it comes from, and that nothing of contents gets into it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from faulty_proxy import FaultyProxy
from fresh_databases import connected, model_registry, settings_for
from mongoengine import StringField
from waiting import wait_until

from datalayer import BusinessDocument, Settings, db
from datalayer.connections.registry import registry
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import DataLayerError
from datalayer.monitoring import CommandMonitor, Failure, FailureLog
from datalayer.monitoring.failures import address_of, kind_of


@pytest.fixture
def databases(mongod: EmbeddedMongo) -> Iterator[Settings]:
    with model_registry(), connected(settings_for(mongod)) as settings:
        yield settings


def failures(alias: str = "default") -> tuple[Failure, ...]:
    return registry.connection(alias).monitors.failures.latest()


def told(alias: str = "default") -> list[tuple[str, str, int]]:
    return [(each.kind, each.operation, each.count) for each in failures(alias)]


def test_failures_of_one_kind_are_counted_together() -> None:
    log = FailureLog("default")
    for _ in range(3):
        log.note("NetworkTimeout", "find user", "a:1")
    log.note("NetworkTimeout", "find user", "b:1")
    assert [(each.host, each.count) for each in log.latest()] == [("b:1", 1), ("a:1", 3)]


def test_the_kind_that_failed_last_is_the_first() -> None:
    log = FailureLog("default")
    for kind in ("one", "two", "one"):
        log.note(kind, "find user", None)
    assert [each.kind for each in log.latest()] == ["one", "two"]


def test_the_kinds_that_are_remembered_are_limited() -> None:
    log = FailureLog("default")
    for number in range(100):
        log.note(str(number), "find", None)
    assert [each.kind for each in log.latest()] == [str(n) for n in range(99, 59, -1)]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (
            {"code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "canary"},
            "MaxTimeMSExpired (50)",
        ),
        ({"code": 7, "errmsg": "canary"}, "error (7)"),
        ({"errtype": "NetworkTimeout", "errmsg": "canary"}, "NetworkTimeout"),
        ({"code": "canary", "codeName": "a canary with blanks"}, "error"),
        ({"codeName": {"canary": 1}}, "error"),
        ({}, "error"),
    ],
    ids=["a code with a name", "a code", "the driver's", "no names", "no text", "nothing"],
)
def test_a_kind_is_made_of_names_and_codes_alone(failure: dict[str, object], kind: str) -> None:
    assert kind_of(failure) == kind


def test_an_address_is_written_as_people_do() -> None:
    addresses = [("db-a", 27017), ("/run/mongodb.sock", None), None, "db-a"]
    assert [address_of(each) for each in addresses] == [
        "db-a:27017",
        "/run/mongodb.sock",
        None,
        None,
    ]


def test_a_command_that_a_server_refuses_is_told_with_its_collection_and_its_host(
    databases: Settings, mongod: EmbeddedMongo
) -> None:
    things = registry.connection("default").database.things
    for _ in range(2):
        with pytest.raises(Exception, match="unknown"):
            things.find_one({"$nonsense": "canary"})
    (failure,) = failures()
    assert failure.host == mongod.hosts[0]
    assert told() == [("BadValue (2)", "find things", 2)]
    assert "canary" not in repr(failure)


def test_what_succeeds_is_no_failure(databases: Settings) -> None:
    registry.connection("default").database.things.insert_one({})
    assert failures() == ()


def test_a_command_that_names_a_user_names_none() -> None:
    log = FailureLog("default")
    monitor = CommandMonitor("default", 100, lambda *_: None, failures=log)
    monitor.begin("createUser", {"createUser": "canary"}, 1)
    monitor.fail("createUser", {"code": 11, "codeName": "UserNotFound"}, 1)
    assert [each.operation for each in log.latest()] == ["createUser"]


def test_an_operation_without_any_server_is_a_failure_though_no_command_was_sent(
    mongod: EmbeddedMongo,
) -> None:
    class Thing(BusinessDocument):
        name = StringField()
        meta = {"collection": "things"}

    with FaultyProxy(mongod.hosts[0]) as proxy, model_registry(Thing):
        options = {"uri": proxy.uri_for("test_failures"), "server_selection_timeout_ms": 200}
        with connected(Settings(databases={"default": options})):
            proxy.refuse()
            wait_until(lambda: not db.database.is_connected)
            with pytest.raises(DataLayerError):
                Thing.objects.first()
            assert ("ServerSelectionTimeoutError", "find things") in {
                (each.kind, each.operation) for each in failures()
            }
            # The driver's own checks fail too.
            assert ("AutoReconnect", "heartbeat") in {
                (each.kind, each.operation) for each in failures()
            }
            proxy.restore()


@dataclass(frozen=True)
class _CheckOutFailed:
    address: tuple[str, int]
    reason: str
    duration: float = 0.1


def test_a_pool_without_a_free_connection_is_a_failure(databases: Settings) -> None:
    monitors = registry.connection("default").monitors
    monitors.pool.connection_check_out_failed(_CheckOutFailed(("a", 1), "timeout"))  # type: ignore[arg-type]
    monitors.pool.connection_check_out_failed(_CheckOutFailed(("a", 1), "poolClosed"))  # type: ignore[arg-type]
    assert told() == [("no connection was free", "check-out", 1)]


def test_a_child_begins_without_the_failures_of_its_parent(databases: Settings) -> None:
    monitors = registry.connection("default").monitors
    monitors.failures.note("NetworkTimeout", "find things", None)
    monitors.reset()
    assert failures() == ()
