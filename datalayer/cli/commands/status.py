"""``datalayer status``: how each database is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datalayer.cli.connecting import opened
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.options import Commands, calling, connection_options
from datalayer.cli.output import Output
from datalayer.cli.tables import Hosts, Name, Styled, Table
from datalayer.health import verdict
from datalayer.settings import Settings

_STYLES = {
    "connected": "green",
    "degraded": "yellow",
    "connecting": "yellow",
    "unavailable": "bold red",
    "disconnected": "dim",
}


def add_to(commands: Commands) -> None:
    """Add ``status`` to the command line."""
    parser = commands.add_parser(
        "status",
        help="connect, and show how each database is doing",
        description="Connects to every configured database and shows how it is doing. Exit code "
        "3 when one of them does not answer.",
        parents=[connection_options(timeout=5.0)],
    )
    parser.set_defaults(run=calling(status, "timeout"))


def status(output: Output, settings: Settings, *, timeout: float = 5.0) -> ExitCode:
    """Show ``db.status()`` of ``settings``; a server gets ``timeout`` seconds to answer."""
    with opened(settings, timeout=timeout) as databases:
        report = databases.status(timeout)
    output.show(report, [status_table(report)])
    for reason in verdict(report).reasons:
        output.message(reason)
    return code_for(report)


def code_for(report: Mapping[str, Any]) -> ExitCode:
    """Unhealthy when a database, required or optional, does not answer."""
    answered = all(entry["connected"] for entry in report.values())
    return ExitCode.OK if answered else ExitCode.UNHEALTHY


def status_table(report: Mapping[str, Any]) -> Table:
    """One line for each database of a status."""
    return Table(
        columns=(
            Name("alias"),
            "state",
            Name("database"),
            Hosts("hosts"),
            "version",
            "latency ms",
            "open",
            "in use",
            "max",
            "commands",
            "failed",
            "p95 ms",
        ),
        rows=[_row(entry) for entry in report.values()],
        cut=5,
    )


def _row(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    pool, commands = entry["pool"], entry["commands"]
    return (
        entry["alias"],
        Styled(entry["state"], _STYLES.get(entry["state"], "")),
        entry["database"],
        ", ".join(entry["hosts"]),
        entry["server_version"],
        entry["latency_ms"],
        pool["open"],
        pool["in_use"],
        pool["max_size"],
        commands["total"],
        commands["failed"],
        commands["p95_ms"],
    )
