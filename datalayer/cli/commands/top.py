"""``datalayer top``: a view of the databases that renews itself."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count as counting
from time import monotonic
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from datalayer.cli.commands.status import code_for, status_table
from datalayer.cli.connecting import Databases, opened
from datalayer.cli.failures import ExitCode
from datalayer.cli.options import Commands, connection_options, count, seconds, settings_of
from datalayer.cli.output import Output
from datalayer.cli.tables import Name, Prose, Table
from datalayer.core import Connection, registry
from datalayer.server_codes import AUTHORISATION, code_of
from datalayer.settings import Settings
from datalayer.shutdown import graceful_shutdown

__all__ = ["add_to", "top"]

_MOST_OPERATIONS = 20
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
    times.add_argument("--count", type=count, metavar="N", help="end after N views")
    times.add_argument("--once", dest="count", action="store_const", const=1, help="one view")
    parser.set_defaults(
        run=lambda output, options: top(
            output,
            settings_of(options),
            interval=options.interval,
            views=options.count,
            timeout=options.timeout,
        )
    )


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
    meters: dict[str, _Meter] = {alias: _Meter() for alias in settings}
    with (
        graceful_shutdown(0, signals=[signal.SIGTERM]),
        opened(settings, timeout=timeout) as databases,
        output.frames() as show,
    ):
        try:
            for number in counting(1):
                report = _view(databases, meters, timeout)
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


def _view(databases: Databases, meters: Mapping[str, _Meter], timeout: float) -> dict[str, Any]:
    report = databases.status(timeout)
    for alias, entry in report.items():
        entry["server"] = (
            _server(registry.connection(alias), meters[alias], timeout)
            if entry["connected"]
            else _nothing(entry["last_error"] or "it does not answer")
        )
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "databases": report,
    }


def _server(connection: Connection, meter: _Meter, timeout: float) -> dict[str, Any]:
    if connection.settings.kind == "mongomock":
        return _nothing("mongomock has no server")
    try:
        with pymongo.timeout(timeout):
            answer = connection.client.admin.command(
                {"serverStatus": 1, **dict.fromkeys(_WITHOUT, 0)}
            )
            running = _running(connection)
    except PyMongoError as exc:
        if code_of(exc) in AUTHORISATION:
            return _nothing("the user lacks the role clusterMonitor")
        return _nothing(f"the server did not tell ({type(exc).__name__})")
    connections = answer["connections"]
    return {
        "connections": {
            name: connections.get(name) for name in ("current", "active", "available")
        },
        "operations_per_second": meter.per_second(sum(answer["opcounters"].values())),
        "running": running,
        "problem": None,
    }


def _nothing(problem: str) -> dict[str, Any]:
    return {
        "connections": dict.fromkeys(("current", "active", "available")),
        "operations_per_second": None,
        "running": [],
        "problem": problem,
    }


def _running(connection: Connection) -> list[dict[str, Any]]:
    """The operations at work on the alias's database, the longest first.

    The server picks out names and times: what an operation reads or writes is not sent.
    """
    prefix = f"{connection.settings.database}."
    first_key = {"$arrayElemAt": [{"$objectToArray": "$command"}, 0]}
    found = connection.client.admin.aggregate(
        [
            {"$currentOp": {"allUsers": True, "idleConnections": False}},
            {"$match": {"active": True, "ns": {"$regex": f"^{re.escape(prefix)}"}}},
            {"$sort": {"microsecs_running": -1}},
            {"$limit": _MOST_OPERATIONS},
            {
                "$project": {
                    "_id": 0,
                    "ns": 1,
                    "op": 1,
                    "microsecs_running": 1,
                    "command": {"$let": {"vars": {"first": first_key}, "in": "$$first.k"}},
                }
            },
        ]
    )
    return [
        {
            "operation": operation.get("command") or operation["op"],
            "collection": operation["ns"].removeprefix(prefix),
            "seconds": round(operation.get("microsecs_running", 0) / 1_000_000, 3),
        }
        for operation in found
    ]


def _tables(report: Mapping[str, Any]) -> list[Table]:
    databases = report["databases"]
    servers = {alias: entry["server"] for alias, entry in databases.items()}
    tables = [replace(status_table(databases), title=f"databases at {report['time']}")]
    tables.append(
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
        )
    )
    rows = [
        (alias, operation["operation"], operation["collection"], operation["seconds"])
        for alias, server in servers.items()
        for operation in server["running"]
    ]
    tables.append(
        Table(
            (Name("alias"), "operation", Name("collection"), "seconds"),
            rows,
            title="running operations",
        )
    )
    return tables
