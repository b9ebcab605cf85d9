"""The judgements on performance issues: from facts to findings, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from doctor_facts import QUIET_POOL, STATUS, facts, host, session, severities, worst

from datalayer.doctor.facts import Network, Unknown
from datalayer.doctor.judgements.indexes import judge_indexes
from datalayer.doctor.judgements.operations import judge_operations
from datalayer.doctor.judgements.pool import judge_budgets, judge_pool
from datalayer.doctor.judgements.resources import judge_resources
from datalayer.doctor.judgements.usage import judge_usage
from datalayer.indexes import CollectionDiff, Index

DENIED = Unknown("needs the privilege serverStatus (role clusterMonitor)")


def status(**changes: Any) -> dict[str, Any]:
    return {**STATUS, **changes}


# Pools


@pytest.mark.parametrize(
    ("processes", "severity"), [(66, "ok"), (67, "warning"), (83, "warning"), (84, "error")]
)
def test_the_pools_of_all_processes_are_held_against_the_servers_limit(
    processes: int, severity: str
) -> None:
    # 10 connections and 2 of monitoring, of the 1000 that the server takes.
    ((alias, remark),) = judge_budgets([facts()], processes)
    assert (alias, remark.severity) == ("default", severity)


def test_databases_of_one_server_share_its_limit() -> None:
    second = facts(alias="database1", max_pool_size=5)
    ((alias, remark),) = judge_budgets([facts(), second], 4)
    assert alias is None
    assert "up to 10 + 5 for default and database1 may open 76 connections" in remark.saw


def test_databases_of_two_servers_have_a_budget_each() -> None:
    network = Network((host("h:1", hello={"hosts": ["h:1"]}),))
    second = facts(alias="database1", uri="mongodb://h:1/app", network=network)
    assert [alias for alias, _ in judge_budgets([facts(), second], 1)] == ["default", "database1"]


def test_a_budget_without_a_known_limit_is_skipped_with_its_sum() -> None:
    ((_, remark),) = judge_budgets([facts(server=session(status=DENIED))], 2)
    assert remark.severity == "skipped"
    assert "may open 24 connections" in remark.saw
    assert "needs the privilege serverStatus" in remark.saw


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        ({}, "ok"),
        ({"timeouts": 1}, "warning"),
        ({"waiting": 1}, "warning"),
        ({"checkout_p99_ms": 101.0}, "warning"),
        ({"checkout_p99_ms": None}, "ok"),
    ],
)
def test_pressure_on_the_pool_of_this_process_is_told(
    change: dict[str, Any], severity: str
) -> None:
    assert severities(judge_pool(facts(own_pool={**QUIET_POOL, **change}))) == [severity]


def test_a_very_large_pool_is_a_note() -> None:
    assert severities(judge_pool(facts(max_pool_size=101))) == ["note"]
    assert severities(judge_pool(facts(max_pool_size=100))) == []


# Operations


def operation(seconds: float, **changes: Any) -> dict[str, Any]:
    return {
        "command": "find",
        "collection": "app.users",
        "seconds": seconds,
        "idle_transaction": False,
        "scans": False,
        "waits": False,
        **changes,
    }


@pytest.mark.parametrize(
    ("found", "severity", "saw"),
    [
        (operation(0.9), "note", "find on app.users has been running for 0.9 s"),
        (operation(1.0, scans=True), "warning", "for 1.0 s, reading the whole collection"),
        (operation(1.0, waits=True), "warning", "for 1.0 s, waiting for a lock"),
        (operation(20.1), "warning", "longer than the operation deadline of 20 s"),
        (
            operation(0.2, idle_transaction=True),
            "warning",
            "a transaction has been open for 0.2 s",
        ),
    ],
)
def test_a_long_operation_is_told_by_command_collection_and_seconds(
    found: dict[str, Any], severity: str, saw: str
) -> None:
    ((given, text),) = worst(judge_operations(facts(server=session(operations=(found,)))))
    assert given == severity
    assert saw in text


def test_the_sixth_long_operation_is_only_counted() -> None:
    found = session(operations=tuple(operation(2) for _ in range(7)))
    assert worst(judge_operations(facts(server=found)))[-1] == (
        "note",
        "2 or more further operations have been running for long",
    )


def test_without_the_privilege_only_the_own_users_operations_are_seen() -> None:
    assert severities(judge_operations(facts(server=session(only_own_user=True)))) == [
        "ok",
        "skipped",
    ]


# Indexes


def difference(**changes: Any) -> Any:
    return session(differences=(CollectionDiff("default", "users", exists=True, **changes),))


NAME = Index("name_1", (("name", 1),))


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (difference(missing=(NAME,)), "users lacks the index name_1"),
        (difference(missing=(NAME, NAME)), "users lacks the indexes name_1, name_1"),
        (difference(unknown=(NAME,)), "users has the index name_1, which no model declares"),
        (session(models=0), "the models' indexes: no model of this database is imported"),
        (session(differences=Unknown("why")), "the models' indexes: why"),
    ],
)
def test_a_difference_from_the_models_is_told(server: Any, told: str) -> None:
    (text,) = [saw for _, saw in worst(judge_indexes(facts(server=server)))]
    assert told in text


def test_who_has_named_no_models_is_told_how() -> None:
    remark = next(iter(judge_indexes(facts(server=session(models=0)))))
    assert "--models PACKAGE.MODULE" in remark.advice


def test_collections_that_do_not_exist_yet_are_one_note() -> None:
    absent = tuple(CollectionDiff("default", name, exists=False) for name in ("a", "b"))
    assert worst(judge_indexes(facts(server=session(differences=absent)))) == [
        ("note", "there is no collection yet for models: a, b")
    ]


def use(hours: float, **changes: Any) -> dict[str, Any]:
    since = datetime.now(UTC) - timedelta(hours=hours)
    return {"collection": "users", "name": "name_1", "uses": 0, "since": since, **changes}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (use(25), ["note"]),
        (use(23), ["skipped"]),
        (use(25, uses=1), []),
        (use(25, name="_id_"), []),
        (use(25, unique=True), []),
        (use(25, ttl=0), []),
        (use(25, since=datetime(2020, 1, 1)), ["note"]),
    ],
)
def test_an_index_without_use_is_a_note_after_a_day(
    found: dict[str, Any], told: list[str]
) -> None:
    remarks = worst(judge_indexes(facts(server=session(index_uses=(found,)))))
    assert [severity for severity, _ in remarks] == told


def test_a_recorded_scan_is_a_warning() -> None:
    scan = {"operation": "query", "collection": "app.users", "times": 7, "slowest_ms": 250}
    assert worst(judge_indexes(facts(server=session(scans=(scan,))))) == [
        (
            "warning",
            "query on app.users read the whole collection 7 times, 250 ms at most "
            "(system.profile)",
        )
    ]


# Resources


@pytest.mark.parametrize(
    ("used", "severity"),
    [(84.0, "ok"), (85.0, "warning"), (94.0, "warning"), (95.0, "error")],
)
def test_a_disk_that_fills_up_is_told(used: float, severity: str) -> None:
    stats = {"fsUsedSize": used, "fsTotalSize": 100.0}
    assert severities(judge_resources(facts(server=session(database_stats=stats))))[0] == severity


def cache(used: int, dirty: int) -> dict[str, Any]:
    tickets = STATUS["wiredTiger"]["concurrentTransactions"]
    figures = {
        "maximum bytes configured": 100,
        "bytes currently in the cache": used,
        "tracked dirty bytes in the cache": dirty,
    }
    return status(wiredTiger={"cache": figures, "concurrentTransactions": tickets})


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        (cache(94, 19), []),
        (cache(95, 0), ["warning"]),
        (cache(50, 20), ["warning"]),
        (status(globalLock={"currentQueue": {"total": 10}}), []),
        (status(globalLock={"currentQueue": {"total": 11}}), ["warning"]),
        (status(mem={"resident": 899}), []),
        (status(mem={"resident": 900}), ["warning"]),
        ({"connections": {}, "mem": {}}, ["skipped"]),
    ],
)
def test_a_server_without_room_is_told(figures: dict[str, Any], told: list[str]) -> None:
    found = worst(judge_resources(facts(server=session(status=figures))))
    assert [severity for severity, _ in found] == told


def test_tickets_that_are_used_up_are_a_warning() -> None:
    none_left = {"read": {"available": 0}, "write": {"available": 3}}
    engine = {**STATUS["wiredTiger"], "concurrentTransactions": none_left}
    ((severity, saw),) = worst(
        judge_resources(facts(server=session(status=status(wiredTiger=engine))))
    )
    assert (severity, saw) == ("warning", "all tickets to read are taken, 0 operations wait")


# Usage


@pytest.mark.parametrize(
    ("current", "created", "uptime", "told"),
    [
        (800, 3600, 3600.0, []),
        (801, 1000, 3600.0, ["warning"]),
        (10, 3601, 3600.0, ["warning"]),
        (10, 1000, 59.0, []),
    ],
)
def test_crowds_and_churn_of_the_servers_connections_are_told(
    current: int, created: int, uptime: float, told: list[str]
) -> None:
    connections = {"current": current, "available": 1000 - current, "totalCreated": created}
    figures = status(connections=connections, uptime=uptime)
    found = worst(judge_usage(facts(server=session(status=figures))))
    assert [severity for severity, _ in found] == told


def test_connections_that_were_turned_away_are_a_warning() -> None:
    connections = {**STATUS["connections"], "rejected": 3}
    ((severity, saw),) = worst(
        judge_usage(facts(server=session(status=status(connections=connections))))
    )
    assert (severity, "turned away 3 connections" in saw) == ("warning", True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"created": 20, "closed": 10}, []),
        ({"created": 20, "closed": 11}, ["warning"]),
        ({"created": 19, "closed": 19}, []),
        ({"cleared": 1}, ["note"]),
    ],
)
def test_connections_of_this_process_that_do_not_last_are_told(
    change: dict[str, Any], told: list[str]
) -> None:
    found = worst(judge_usage(facts(own_pool={**QUIET_POOL, **change})))
    assert [severity for severity, _ in found] == told


def test_who_holds_connections_is_told() -> None:
    clients = ({"name": "shop", "connections": 12}, {"name": "reports", "connections": 3})
    remarks = list(judge_usage(facts(server=session(clients=clients))))
    assert remarks[-1].saw == "connections by application name: shop 12, reports 3"
