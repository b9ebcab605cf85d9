"""``datalayer outbox``: deliver what waits in the outbox, and tell how much waits."""

from __future__ import annotations

from typing import Any

from datalayer import db
from datalayer.cli.commands import outbox_entries
from datalayer.cli.connecting import opened
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.log_output import warnings_shown
from datalayer.cli.options import Commands, Parser, calling, connection_options
from datalayer.cli.output import Output
from datalayer.cli.tables import Table
from datalayer.outbox.relay import passes
from datalayer.settings import Settings

_INTERVAL_SECONDS = 0.5


def add_to(commands: Commands) -> None:
    """Add ``outbox`` to the command line."""
    parser = commands.add_parser(
        "outbox",
        help="deliver documents that transactions left for other databases",
        description="Documents that db.outbox.add wrote down, and their delivery.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    source = Parser(add_help=False)
    source.add_argument(
        "--source", default="default", metavar="ALIAS", help="whose outbox (default: default)"
    )
    parents = [connection_options(timeout=20.0), source]
    runs = actions.add_parser(
        "run",
        help="deliver what comes in, until SIGTERM or Ctrl-C",
        parents=parents,
    )
    runs.add_argument("--once", action="store_true", help="deliver what waits now, and end")
    runs.set_defaults(run=calling(run, "source", "once", "timeout"))
    shows = actions.add_parser(
        "show",
        help="how much waits; exit code 3 when something does",
        parents=parents,
    )
    shows.set_defaults(run=calling(show, "source", "timeout"))
    outbox_entries.add_commands(actions, parents)


def run(
    output: Output,
    settings: Settings,
    *,
    source: str,
    once: bool = False,
    timeout: float = 20.0,
) -> ExitCode:
    """Deliver once, or until the process is told to end. Exit code 3 when something is refused.

    Until then nothing ends it: what fails rests for a while, and is told in the log.
    """
    with db.graceful_shutdown() as stopping, opened(settings, timeout=timeout, required=True):
        if once:
            done = db.outbox.deliver(source)
            delivered, failed = done.delivered, done.failed
        else:
            delivered = failed = 0
            with warnings_shown(output, "datalayer.outbox"):
                for done in passes(source, stopping, _INTERVAL_SECONDS):
                    delivered, failed = delivered + done.delivered, done.failed
    report = {"delivered": delivered, "refused": failed}
    output.show(report, [_table(report)])
    return ExitCode.PENDING if failed else ExitCode.OK


def show(output: Output, settings: Settings, *, source: str, timeout: float = 20.0) -> ExitCode:
    """Tell how many documents wait and how old the oldest is."""
    with opened(settings, timeout=timeout, required=True):
        found = db.outbox.waiting(source)
    report = {
        "waiting": found.entries,
        "oldest_seconds": found.oldest_seconds,
        "failing": found.failing,
        "set_aside": found.set_aside,
    }
    output.show(report, [_table(report)])
    return ExitCode.PENDING if found.entries else ExitCode.OK


def _table(report: dict[str, Any]) -> Table:
    columns = tuple(name.replace("_", " ") for name in report)
    return Table(columns=columns, rows=[tuple(report.values())])
