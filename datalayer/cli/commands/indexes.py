"""``datalayer indexes diff|sync``: the indexes that the models declare against those that the
server has."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from datalayer import indexes
from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.model_options import comparing, comparing_options, connected_aliases
from datalayer.cli.options import Commands
from datalayer.cli.output import Output
from datalayer.cli.tables import Cell, Name, Prose, Styled, Table
from datalayer.indexes import CollectionDiff, Index
from datalayer.settings import Settings


def add_to(commands: Commands) -> None:
    """Add ``indexes`` to the command line."""
    group = commands.add_parser(
        "indexes", help="compare the models' indexes with the server's, and bring them in line"
    ).add_subparsers(metavar="COMMAND", required=True)
    options = comparing_options()
    differing = group.add_parser(
        "diff",
        help="show what is missing, changed or unknown",
        description="Shows how the collections differ from what the models declare. Exit code 3 "
        "when they do.",
        parents=[options],
    )
    differing.set_defaults(run=comparing(diff))
    syncing = group.add_parser(
        "sync",
        help="build what is missing; drop and rebuild only with --drop",
        description="Builds what is missing. Exit code 3 when something is left to do that "
        "needs --drop.",
        parents=[options],
    )
    syncing.add_argument(
        "--drop",
        action="store_true",
        help="also rebuild changed indexes and drop those that no model declares; needs --models",
    )
    syncing.set_defaults(run=_run_sync)


def _run_sync(output: Output, options: argparse.Namespace) -> ExitCode:
    if options.drop and not options.models:
        raise UsageError(
            "--drop removes the indexes that no model declares, so it has to know all of your "
            "models: name them with --models PACKAGE.MODULE"
        )
    return comparing(partial(sync, drop=options.drop))(output, options)


def diff(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> ExitCode:
    """Show how the collections of ``aliases`` (default: all) differ from the known models.

    Raises:
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
    """
    with connected_aliases(settings, aliases, timeout) as settings:
        found = {alias: indexes.diff(alias) for alias in settings}
    output.show(_documents(found), [_table(found)])
    for alias, differences in found.items():
        looked_at = len(indexes.plans_on(alias))
        output.message(f"{alias}: {len(differences)} of {looked_at} collections differ")
    return ExitCode.PENDING if any(found.values()) else ExitCode.OK


def sync(
    output: Output,
    settings: Settings,
    *,
    aliases: Sequence[str] | None = None,
    drop: bool = False,
    timeout: float = 10.0,
) -> ExitCode:
    """Bring ``aliases`` (default: all) in line with the known models and show what was done.

    Changed indexes are rebuilt and unknown ones dropped only with ``drop``. Unknown indexes
    that stay are mentioned; any other difference that stays makes the exit code 3.

    Raises:
        ConnectError: when one of the databases can't be reached within ``timeout`` seconds.
        IndexBuildError: at the first failure; what was done before it stays done.
    """
    with connected_aliases(settings, aliases, timeout) as settings:
        actions = [action for alias in settings for action in indexes.sync(alias, drop=drop)]
        left = {alias: indexes.diff(alias) for alias in settings}
    rows = [(each.alias, each.collection, each.kind, each.name) for each in actions]
    output.show(
        {"actions": [action.as_dict() for action in actions], "left": _documents(left)},
        [Table((Name("alias"), Name("collection"), "action", Name("name")), rows)],
    )
    for alias, differences in left.items():
        for each in differences:
            unknown, other = len(each.unknown), len(each.changed) + len(each.options)
            output.message(
                f"{alias}.{each.collection}: left as they are: {unknown} unknown indexes and "
                f"{other} other differences"
                + ("" if drop else "; see `datalayer indexes diff` and --drop")
            )
    others = (replace(each, unknown=()) for found in left.values() for each in found)
    pending = not all(each.in_sync for each in others)
    return ExitCode.PENDING if pending else ExitCode.OK


def _documents(found: Mapping[str, Sequence[CollectionDiff]]) -> dict[str, Any]:
    return {alias: [each.as_dict() for each in diffs] for alias, diffs in found.items()}


def _table(found: Mapping[str, Sequence[CollectionDiff]]) -> Table:
    rows = [
        (alias, each.collection, *line)
        for alias, diffs in found.items()
        for each in diffs
        for line in _lines(each)
    ]
    columns = (Name("alias"), Name("collection"), "difference", Name("name"), Prose("details"))
    return Table(columns, rows)


def _lines(each: CollectionDiff) -> Iterator[tuple[Cell, ...]]:
    if not each.exists:
        yield Styled("missing", "red"), "", "the collection itself"
    for index in each.missing:
        yield Styled("missing", "red"), index.name, _described(index)
    for change in each.changed:
        details = f"declared {_described(change.expected)}; found {_described(change.actual)}"
        yield Styled("changed", "yellow"), change.actual.name, details
    for index in each.unknown:
        yield Styled("unknown", "cyan"), index.name, _described(index)
    for option in each.options:
        details = f"declared {option.expected!r}; found {option.actual!r}"
        yield Styled("changed", "yellow"), option.name, details


def _described(index: Index) -> str:
    keys = ", ".join(f"{name} {kind}" for name, kind in index.keys)
    options = "".join(f", {name}={value}" for name, value in index.options.items())
    return f"({keys}{options})"
