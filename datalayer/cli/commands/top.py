"""``datalayer top``: a view of the databases that renews itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count as counting
from time import monotonic
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from datalayer.cli.commands.status import code_for, status_table
from datalayer.cli.connecting import Databases, opened
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.options import Commands, calling, connection_options, count, seconds
from datalayer.cli.output import Output
from datalayer.cli.tables import Name, Prose, Table
from datalayer.connections.registry import registry
from datalayer.doctor.probes.client import diagnostic_client
from datalayer.doctor.probes.pipelines import running_operations
from datalayer.failures.connecting import kind_of
from datalayer.failures.server_codes import AUTHORISATION, code_of
from datalayer.service.connecting_log import seen
from datalayer.settings import DatabaseSettings, Settings
from datalayer.shutdown import graceful_shutdown

_CONNECTIONS = ("current", "active", "available")
_WITHOUT = ("asserts", "electionMetrics", "metrics", "repl", "tcmalloc", "wiredTiger", "locks")


def add_to(commands: Commands) -> None:
    """Add ``top`` to the command line."""
    parser = commands.add_parser(
        "top",
        help="a live view of pools, connections and running operations",
        description="Shows the databases' state, the servers' connections and what they are "
        "working on (never contents), again and again until Ctrl-C, which is no failure. With "
        "--json, each view is a document in a line of its own.",
        parents=[connection_options(timeout=2.0)],
    )
    parser.add_argument(
        "--interval", type=seconds, default=2.0, metavar="SECONDS", help="default: 2"
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--count", dest="views", type=count, metavar="N", help="end after N views")
    times.add_argument("--once", dest="views", action="store_const", const=1, help="one view")
    parser.set_defaults(run=calling(top, "interval", "views", "timeout"))


def top(
    output: Output,
    settings: Settings,
    *,
    interval: float = 2.0,
    views: int | None = None,
    timeout: float = 2.0,
) -> ExitCode:
    """Show a view every ``interval`` seconds, ``views`` times or until Ctrl-C.

    The exit code is that of ``status`` for the last view, and 0 after Ctrl-C. SIGTERM raises
    ``SystemExit``, so that the terminal gets its screen back.
    """
    pause = threading.Event()
    with (
        graceful_shutdown(0, signals=[signal.SIGTERM]),
        opened(settings, timeout=timeout) as databases,
        ExitStack() as clients,
        output.frames(in_place=views != 1) as show,
    ):
        watched = {alias: _Watched(settings[alias], clients) for alias in settings}
        try:
            for number in counting(1):
                report = _view(databases, watched, timeout)
                show(report, _tables(report))
                if number == views:
                    return code_for(report["databases"])
                pause.wait(interval)
        except KeyboardInterrupt:
            pass
    return ExitCode.OK


class _Meter:
    """Turns a server's count of operations into a rate."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None

    def per_second(self, total: int) -> float | None:
        """The rate since the call before; ``None`` for the first one and after a restart."""
        now, last = monotonic(), self._last
        self._last = (now, total)
        if last is None or total < last[1] or now <= last[0]:
            return None
        return round((total - last[1]) / (now - last[0]), 1)


class _Watched:
    """The server of one alias, asked again and again; what it refuses is asked only once."""

    def __init__(self, settings: DatabaseSettings, clients: ExitStack) -> None:
        self._settings = settings
        self._clients = clients
        self._client: MongoClient[Any] | None = None
        self._meter = _Meter()
        self._may_see_status = self._may_see_others = True

    def look(self, timeout: float) -> dict[str, Any]:
        """The server's figures and what it is working on."""
        if self._settings.kind == "mongomock":
            return _empty_report("mongomock has no server")
        report = _empty_report(None)
        try:
            with pymongo.timeout(timeout):
                client = self._opened(timeout)
                report |= self._figures(client) if self._may_see_status else {}
                report["running"] = self._running(client)
        except PyMongoError as exc:
            report["problem"] = f"the server did not tell ({kind_of(exc)})"
        if not self._may_see_status:
            report["problem"] = "the user lacks the role clusterMonitor"
        return report

    def _opened(self, timeout: float) -> MongoClient[Any]:
        if self._client is None:
            uri = registry.uri_for(self._settings) if self._settings.kind == "embedded" else None
            self._client = self._clients.enter_context(
                diagnostic_client(self._settings, uri, timeout, name="top")
            )
        return self._client

    def _figures(self, client: MongoClient[Any]) -> dict[str, Any]:
        try:
            answer = client.admin.command({"serverStatus": 1, **dict.fromkeys(_WITHOUT, 0)})
        except OperationFailure as exc:
            if code_of(exc) not in AUTHORISATION:
                raise
            self._may_see_status = False
            return {}
        connections = answer["connections"]
        return {
            "connections": {name: connections.get(name) for name in _CONNECTIONS},
            "operations_per_second": self._meter.per_second(sum(answer["opcounters"].values())),
        }

    def _running(self, client: MongoClient[Any]) -> list[dict[str, Any]]:
        """Everyone's operations, or those of the configured user; that takes no privilege."""
        if self._may_see_others:
            try:
                return _running(client, self._settings.database, all_users=True)
            except OperationFailure as exc:
                if code_of(exc) not in AUTHORISATION:
                    raise
                self._may_see_others = False
        return _running(client, self._settings.database, all_users=False)


def _view(databases: Databases, watched: Mapping[str, _Watched], timeout: float) -> dict[str, Any]:
    report = databases.status(timeout)
    for alias, entry in report.items():
        entry["server"] = (
            watched[alias].look(timeout)
            if entry["connected"]
            else _empty_report(_why_not(alias, entry))
        )
    return {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "databases": report}


def _why_not(alias: str, entry: Mapping[str, Any]) -> str:
    connection = registry.find(alias)
    if connection is None:  # it was refused, and nobody looks for it any more
        return str(entry["last_error"] or "it does not answer")
    return seen(connection)


def _empty_report(problem: str | None) -> dict[str, Any]:
    return {
        "connections": dict.fromkeys(_CONNECTIONS),
        "operations_per_second": None,
        "running": [],
        "problem": problem,
    }


def _running(client: MongoClient[Any], database: str, *, all_users: bool) -> list[dict[str, Any]]:
    found = client.admin.aggregate(running_operations(database, all_users=all_users))
    return [
        {
            "operation": each["command"],
            "collection": each["collection"].removeprefix(f"{database}."),
            "seconds": round(each["microseconds"] / 1_000_000, 3),
        }
        for each in found
    ]


def _tables(report: Mapping[str, Any]) -> list[Table]:
    databases = report["databases"]
    servers = {alias: entry["server"] for alias, entry in databases.items()}
    rows = [
        (alias, operation["operation"], operation["collection"], operation["seconds"])
        for alias, server in servers.items()
        for operation in server["running"]
    ]
    return [
        replace(status_table(databases), title=f"databases at {report['time']}"),
        Table(
            (Name("alias"), "current", "active", "available", "operations/s", Prose("problem")),
            [
                (
                    alias,
                    *server["connections"].values(),
                    server["operations_per_second"],
                    server["problem"],
                )
                for alias, server in servers.items()
            ],
            title="connections of the servers",
        ),
        Table(
            (Name("alias"), "operation", Name("collection"), "seconds"), rows, "running operations"
        ),
    ]
