"""Facts as a healthy database would give them, with what a test wants otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from datalayer.doctor.facts import Address, AliasFacts, Host, Network, ServerFacts, Session
from datalayer.doctor.findings import Remark
from datalayer.settings import DatabaseSettings, Settings
from datalayer.settings.uri import parse

HOST = "127.0.0.1:27017"
WORK = ("find", "insert", "update", "remove")
HELLO: dict[str, Any] = {
    "setName": "rs0",
    "isWritablePrimary": True,
    "primary": HOST,
    "hosts": [HOST],
    "minWireVersion": 0,
    "maxWireVersion": 17,
}
STATUS: dict[str, Any] = {
    "version": "8.0.17",
    "uptime": 3600.0,
    "connections": {"current": 20, "available": 980, "active": 3, "totalCreated": 200},
    "mem": {"resident": 400},
    "globalLock": {"currentQueue": {"total": 0}},
    "wiredTiger": {
        "cache": {
            "maximum bytes configured": 1000,
            "bytes currently in the cache": 700,
            "tracked dirty bytes in the cache": 40,
        },
        "concurrentTransactions": {"read": {"available": 128}, "write": {"available": 128}},
    },
}
SESSION = Session(
    build={"version": "8.0.17"},
    connection_status={
        "authInfo": {
            "authenticatedUsers": [{"user": "app", "db": "admin"}],
            "authenticatedUserRoles": [{"role": "readWrite", "db": "app"}],
            "authenticatedUserPrivileges": [
                {
                    "resource": {"db": "app", "collection": ""},
                    "actions": [*WORK, "createCollection", "createIndex", "collMod"],
                }
            ],
        }
    },
    collections=(),
    replica_set={"members": []},
    startup_warnings=(),
    status=STATUS,
    host_info={"system": {"memSizeMB": 1000, "memLimitMB": 1000}},
    database_stats={"fsUsedSize": 50.0, "fsTotalSize": 100.0},
    operations=(),
    only_own_user=False,
    clients=(),
    models=1,
    differences=(),
    index_uses=(),
    scans=(),
    failed_heartbeats={},
)
QUIET_POOL: dict[str, Any] = {
    "open": 2,
    "in_use": 1,
    "waiting": 0,
    "timeouts": 0,
    "checkout_p99_ms": 0.4,
    "created": 4,
    "closed": 2,
    "cleared": 0,
}


def settings(uri: str = f"mongodb://{HOST}/app", **fields: Any) -> DatabaseSettings:
    alias = fields.pop("alias", "default")
    return Settings(databases={alias: {"uri": uri, **fields}})[alias]


def host(name: str = HOST, reach: str = "open", **fields: Any) -> Host:
    """One that answers, or, with another ``reach``, one that can't be connected."""
    addresses = (Address("127.0.0.1", False, reach),)  # type: ignore[arg-type]
    response = "mongodb" if reach == "open" else None
    facts = {
        "addresses": addresses,
        "response": response,
        "hello": HELLO if response else {},
        **fields,
    }
    return Host(name, facts.pop("resolution", "resolved"), **facts)


def facts(
    *,
    uri: str = f"mongodb://{HOST}/app",
    network: Network | None = None,
    server: ServerFacts = SESSION,
    own_pool: dict[str, Any] | None = None,
    today: date = date(2026, 1, 1),
    **fields: Any,
) -> AliasFacts:
    parsed, _ = parse(uri)
    assert parsed is not None
    return AliasFacts(
        settings(uri, **fields), parsed, network or Network((host(),)), server, own_pool, today
    )


def session(**changes: Any) -> Session:
    return replace(SESSION, **changes)


def worst(remarks: Iterable[Remark]) -> list[tuple[str, str]]:
    """Severity and sight of what is not ``ok``."""
    return [(each.severity, each.saw) for each in remarks if each.severity != "ok"]


def severities(remarks: Iterable[Remark]) -> list[str]:
    return [each.severity for each in remarks]
