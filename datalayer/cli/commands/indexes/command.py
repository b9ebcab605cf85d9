"""The command line of ``datalayer indexes diff|sync|unhide|drop``."""

from __future__ import annotations

import argparse
from functools import partial

from datalayer.cli.commands.indexes.comparing import diff, sync
from datalayer.cli.commands.indexes.hidden import drop, unhide
from datalayer.cli.each_database import databases_options, in_each_database
from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.model_options import comparing, comparing_options
from datalayer.cli.options import Commands, Parser, connection_options, settings_of
from datalayer.cli.output import Output

_DEFAULT_DAYS = 14.0
_MOST_DAYS = 3650.0


def add_to(commands: Commands) -> None:
    """Add ``indexes`` to the command line."""
    group = commands.add_parser(
        "indexes", help="compare the models' indexes with the server's, and bring them in line"
    ).add_subparsers(metavar="COMMAND", required=True)
    options = Parser(add_help=False, parents=[comparing_options(), databases_options()])
    differing = group.add_parser(
        "diff",
        help="show what is missing, changed or unknown",
        description="Shows how the collections differ from what the models declare. Exit code 3 "
        "when they do.",
        parents=[options],
    )
    differing.set_defaults(run=in_each_database(comparing(diff)))
    _add_sync(group, options)
    _add_unhide(group)
    dropping = group.add_parser(
        "drop",
        help="drop the indexes that `sync --hide` has hidden, once nobody has missed them",
        description="Drops indexes that no model declares, that have been hidden for a time, and "
        "that no member has used since. Exit code 3 when some stay.",
        parents=[options],
    )
    dropping.add_argument(
        "--hidden-for",
        type=_days,
        default=_DEFAULT_DAYS,
        metavar="DAYS",
        help="how long they must have been hidden (default: %(default)g)",
    )
    _add_yes(dropping)
    dropping.set_defaults(run=in_each_database(_run_drop))


def _add_sync(group: Commands, options: Parser) -> None:
    syncing = group.add_parser(
        "sync",
        help="build what is missing; hide, drop or rebuild only with --hide or --drop",
        description="Builds what is missing. Exit code 3 when something is left to do that "
        "needs --drop.",
        parents=[options],
    )
    removing = syncing.add_mutually_exclusive_group()
    removing.add_argument(
        "--hide",
        action="store_true",
        help="also hide indexes that no model declares from queries; needs --models, and `unhide` "
        "takes it back at once",
    )
    removing.add_argument(
        "--drop",
        action="store_true",
        help="also rebuild changed indexes and drop those that no model declares; needs --models",
    )
    syncing.add_argument(
        "--commit-quorum",
        type=_quorum,
        metavar="MEMBERS",
        help="how many members of a replica set must have built an index before it serves: "
        "votingMembers (default), majority, or a number",
    )
    _add_yes(syncing)
    syncing.set_defaults(run=in_each_database(_run_sync))


def _add_unhide(group: Commands) -> None:
    unhiding = group.add_parser(
        "unhide",
        help="let queries use hidden indexes again",
        parents=[connection_options(timeout=10.0)],
    )
    unhiding.add_argument("names", nargs="+", metavar="NAME", help="of an index")
    unhiding.add_argument(
        "--collection", metavar="NAME", help="only there; needed where several have such an index"
    )
    unhiding.add_argument(
        "--alias", action="append", metavar="NAME", help="only this database (repeatable)"
    )
    unhiding.set_defaults(run=_run_unhide)


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="drop without asking")


def _run_sync(output: Output, options: argparse.Namespace) -> ExitCode:
    for name in ("hide", "drop"):
        if getattr(options, name):
            _need_models(f"--{name}", f"{name}s", options)
    run = partial(
        sync,
        drop=options.drop,
        hide=options.hide,
        commit_quorum=options.commit_quorum,
        yes=options.yes,
    )
    return comparing(run)(output, options)


def _run_unhide(output: Output, options: argparse.Namespace) -> ExitCode:
    return unhide(
        output,
        settings_of(options),
        options.names,
        collection=options.collection,
        aliases=options.alias,
        timeout=options.timeout,
    )


def _run_drop(output: Output, options: argparse.Namespace) -> ExitCode:
    _need_models("drop", "drops", options)
    run = partial(drop, hidden_for_days=options.hidden_for, yes=options.yes)
    return comparing(run)(output, options)


def _need_models(what: str, verb: str, options: argparse.Namespace) -> None:
    if not options.models:
        removes = "removes" if verb == "drops" else verb
        raise UsageError(
            f"{what} {removes} the indexes that no model declares, so it has to know all of your "
            "models: name them with --models PACKAGE.MODULE"
        )


def _days(text: str) -> float:
    """A number of days, from none to ten years."""
    value = float(text)
    if not 0 <= value <= _MOST_DAYS:
        raise ValueError(text)
    return value


def _quorum(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
