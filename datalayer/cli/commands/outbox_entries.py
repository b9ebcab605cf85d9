"""``datalayer outbox list``, ``retry``, ``set-aside`` and ``put-back``: what waits, one by one,
and what a person decides about it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from datalayer.cli.connecting import opened
from datalayer.cli.exit_codes import ExitCode
from datalayer.cli.options import Commands, Parser, count, settings_of
from datalayer.cli.output import Output
from datalayer.cli.tables import Name, Prose, Styled, Table
from datalayer.outbox import dead_letters
from datalayer.outbox.dead_letters import Listed

_STYLES = {"refused": "bold red", "unreadable": "bold red", "unknown alias": "yellow"}


def add_commands(actions: Commands, parents: Sequence[Parser]) -> None:
    """Add the four commands, with the options of ``parents``."""
    lists = actions.add_parser(
        "list",
        help="what waits, entry by entry; exit code 3 when something does",
        description="Entries in trouble come first. Neither documents nor keys are shown.",
        parents=parents,
    )
    lists.add_argument("--limit", type=count, default=50, help="at most (default: %(default)s)")
    lists.add_argument("--key", help="only the entries of this key")
    lists.set_defaults(run=_list)
    which = Parser(add_help=False)
    which.add_argument("entries", nargs="+", metavar="ENTRY", help="as `outbox list` calls it")
    which.add_argument("--dry-run", action="store_true", help="say what would be done")
    changing = [*parents, which]
    retries = actions.add_parser(
        "retry",
        help="deliver an entry now, and those behind it; also one that is held",
        parents=changing,
    )
    retries.set_defaults(run=_retry)
    asides = actions.add_parser(
        "set-aside",
        help="leave an entry undelivered, stored beside the outbox; those behind it go on",
        parents=changing,
    )
    asides.add_argument(
        "--hold",
        action="store_true",
        help="let it keep its place instead: those behind it with the same key wait, until retry",
    )
    asides.set_defaults(run=_change)
    backs = actions.add_parser(
        "put-back",
        help="have an entry that was set aside delivered, behind all others with its key",
        parents=changing,
    )
    backs.set_defaults(run=_change)


def _list(output: Output, options: argparse.Namespace) -> ExitCode:
    with opened(settings_of(options), timeout=options.timeout, required=True):
        found = dead_letters.listed(options.source, limit=options.limit + 1, key=options.key)
    more, found = len(found) > options.limit, found[: options.limit]
    output.show([asdict(each) for each in found], [_table(found)])
    if more:
        output.message(f"the first {options.limit}; --limit shows more")
    waits = any(each.state != "set aside" for each in found)
    return ExitCode.PENDING if waits else ExitCode.OK


def _retry(output: Output, options: argparse.Namespace) -> ExitCode:
    if options.dry_run:
        return _change(output, options)
    with opened(settings_of(options), timeout=options.timeout, required=True):
        done = dead_letters.retry(options.source, options.entries)
    report = asdict(done)
    output.show(report, [Table(columns=tuple(report), rows=[tuple(report.values())])])
    return ExitCode.PENDING if done.failed else ExitCode.OK


def _change(output: Output, options: argparse.Namespace) -> ExitCode:
    """Set entries aside, or put them back. Of ``--dry-run`` only what would be concerned."""
    puts_back = options.action == "put-back"
    with opened(settings_of(options), timeout=options.timeout, required=True):
        # All are looked for before the first is changed.
        found = [
            dead_letters.shown(options.source, label, is_aside=puts_back)
            for label in options.entries
        ]
        for each in () if options.dry_run else found:
            if puts_back:
                dead_letters.put_back(options.source, each.id)
            else:
                dead_letters.set_aside(options.source, each.id, hold=options.hold)
    output.show([asdict(each) for each in found], [_table(found)])
    if options.dry_run:
        output.message(f"{options.action} would concern these; nothing was changed")
    return ExitCode.OK


_TIMES = ("added", "failing since")


def _table(found: Sequence[Listed]) -> Table:
    columns = ("entry", "state", Name("target"), Prose("reason"), "attempts", *_TIMES)
    return Table(columns=columns, rows=[_row(each) for each in found])


def _row(each: Listed) -> tuple[Any, ...]:
    times = (each.added_at, each.failing_since)
    return (
        each.id,
        Styled(each.state, _STYLES.get(each.state, "")),
        each.target,
        each.reason,
        each.attempts,
        *(None if time is None else time.isoformat(" ", "seconds") for time in times),
    )
