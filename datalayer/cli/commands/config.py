"""``datalayer config``: every setting, and where its value comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby

from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.options import Commands, calling, settings_options
from datalayer.cli.output import Output
from datalayer.cli.tables import Prose, Styled, Table
from datalayer.settings import Row, Settings


def add_to(commands: Commands) -> None:
    """Add ``config`` to the command line."""
    parser = commands.add_parser(
        "config",
        help="every setting with its value and where that comes from",
        description="Shows every setting with its value, without secrets, and its source: "
        "default, .env, environment, override (this command line) or URI. Connects to nothing. "
        "Wrong settings are listed, all of them, with exit code 2.",
        parents=[settings_options()],
    )
    parser.set_defaults(run=calling(config))


def config(output: Output, settings: Settings) -> ExitCode:
    """Show every setting of ``settings``; their warnings are messages."""
    output.show(
        {
            "settings": [asdict(row) for row in settings.rows],
            "warnings": list(settings.warnings),
        },
        [_table(alias, rows) for alias, rows in groupby(settings.rows, lambda row: row.alias)],
    )
    for warning in settings.warnings:
        output.message(f"warning: {warning}")
    return ExitCode.OK


class _Variable(Prose):
    """Heads the column of variables, the longest of which for the two usual databases has 37
    letters."""

    __slots__ = ()
    least, enough = 40, 40


def _table(alias: str, rows: Iterable[Row]) -> Table:
    return Table(
        (_Variable("variable"), Prose("value"), "source"),
        [
            (
                row.variable,
                row.value or "-",
                Styled(row.source, "dim" if row.source == "default" else "bold"),
            )
            for row in rows
        ],
        title=alias or "all databases",
    )
