"""``datalayer ping``: how long each database takes to answer."""

from __future__ import annotations

from statistics import median
from typing import Any

from datalayer import db
from datalayer.cli.connecting import Databases, opened
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.options import Commands, calling, connection_options, count
from datalayer.cli.output import Output
from datalayer.cli.tables import Name, Table
from datalayer.errors import DataLayerError
from datalayer.settings import Settings


def add_to(commands: Commands) -> None:
    """Add ``ping`` to the command line."""
    parser = commands.add_parser(
        "ping",
        help="how many milliseconds each database takes to answer",
        description="Pings every configured database, one after the other. Exit code 3 when a "
        "ping is not answered.",
        parents=[connection_options(timeout=5.0)],
    )
    help_text = "pings a database (default: %(default)d)"
    parser.add_argument(
        "--count", dest="times", type=count, default=5, metavar="N", help=help_text
    )
    parser.set_defaults(run=calling(ping, "times", "timeout"))


def ping(output: Output, settings: Settings, *, times: int = 5, timeout: float = 5.0) -> ExitCode:
    """Ping each database ``times`` times and show minimum, median and maximum.

    A ping gets ``timeout`` seconds; after one that is not answered, that database gets no
    more.
    """
    with opened(settings, timeout=timeout) as databases:
        report = {alias: _report(databases, alias, times, timeout) for alias in settings}
    output.show(report, [_table(report)])
    for alias, entry in report.items():
        if entry["error"] is not None:
            output.message(f"{alias}: {entry['error']}")
    healthy = all(entry["error"] is None for entry in report.values())
    return ExitCode.OK if healthy else ExitCode.UNHEALTHY


def _report(databases: Databases, alias: str, times: int, timeout: float) -> dict[str, Any]:
    milliseconds: list[float] = []
    error = databases.error_of(alias)
    if error is None:
        try:
            while len(milliseconds) < times:
                milliseconds.append(db.get(alias).ping(timeout))
        except DataLayerError as exc:
            error = exc.message
    return {
        "sent": len(milliseconds) + (error is not None),
        "answered": len(milliseconds),
        "min_ms": _rounded(min(milliseconds, default=None)),
        "median_ms": _rounded(median(milliseconds) if milliseconds else None),
        "max_ms": _rounded(max(milliseconds, default=None)),
        "error": error,
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def _table(report: dict[str, Any]) -> Table:
    figures = ("sent", "answered", "min_ms", "median_ms", "max_ms")
    return Table(
        columns=(Name("alias"), *(name.replace("_", " ") for name in figures)),
        rows=[(alias, *(entry[figure] for figure in figures)) for alias, entry in report.items()],
    )
