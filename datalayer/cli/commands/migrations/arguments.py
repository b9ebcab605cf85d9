"""The grammar of ``datalayer migrations``."""

from __future__ import annotations

from collections.abc import Mapping

from datalayer.cli.each_database import databases_options, in_each_database
from datalayer.cli.model_options import models_option
from datalayer.cli.options import (
    Commands,
    Parser,
    Run,
    connection_options,
    count,
    seconds,
)

_EPILOG = (
    "exit codes: 0 done; 1 stopped, refused, or (check) an applied file was edited; 2 wrong "
    "command line or settings; 3 (check) migrations are not applied, or stopped by a signal"
)


def add_commands(commands: Commands, runs: Mapping[str, Run]) -> None:
    """Add ``migrations`` and its commands, carried out by ``runs``."""
    group = commands.add_parser(
        "migrations", help="change the shape of stored documents", epilog=_EPILOG
    ).add_subparsers(metavar="COMMAND", required=True)
    connecting = connection_options(timeout=10.0)
    looking = [connecting, models_option(), databases_options()]
    waiting = [*looking, _asking()]
    working = [*waiting, _until(), _limits()]
    parsers = {
        "new": group.add_parser("new", help="write the file of a new migration", parents=looking),
        "status": group.add_parser("status", help="how each one stands", parents=looking),
        "plan": group.add_parser(
            "plan",
            help="how many documents each step would touch; writes nothing",
            parents=[*looking, _until()],
        ),
        "rehearse": group.add_parser(
            "rehearse",
            help="try what is pending on a sample, in a private server, with undo",
            description="Applies what is pending to a sample of the documents in a private server "
            "on this machine, checks the schemas, undoes it, and compares. Writes nothing to the "
            "databases.",
            parents=[*looking, _until()],
        ),
        "apply": group.add_parser(
            "apply", help="apply what is pending, and go on with what was stopped", parents=working
        ),
        "undo": group.add_parser(
            "undo", help="undo the one applied last, or back to --to", parents=working
        ),
        "check": group.add_parser(
            "check", help="for CI and deployments: is everything applied?", parents=looking
        ),
        "resolve": group.add_parser(
            "resolve", help="say how one is, where only a person can tell", parents=waiting
        ),
    }
    parsers["new"].add_argument("name", metavar="NAME", help="what it does, like rename_login")
    parsers["new"].add_argument(
        "--from-drift",
        action="store_true",
        help="draft it from how documents and indexes differ from the models",
    )
    parsers["new"].add_argument(
        "--alias", action="append", metavar="NAME", help="drift of this database only (repeatable)"
    )
    parsers["rehearse"].add_argument(
        "--sample",
        type=count,
        default=1000,
        metavar="N",
        help="documents of each collection, taken at random (default: %(default)s)",
    )
    parsers["rehearse"].add_argument(
        "--collection",
        type=_place,
        action="append",
        metavar="ALIAS.NAME",
        help="take a sample of this one too, which the files read (repeatable)",
    )
    parsers["plan"].add_argument(
        "--undo", action="store_true", help="what undo would do, instead of apply"
    )
    parsers["resolve"].add_argument(
        "number", metavar="N", help="its number; its whole name where two have the same"
    )
    parsers["resolve"].add_argument(
        "--as", dest="as_", choices=("applied", "not-applied"), required=True, help="how it is"
    )
    for name, parser in parsers.items():
        parser.epilog = _EPILOG
        parser.set_defaults(run=runs[name] if name == "new" else in_each_database(runs[name]))


def _until() -> Parser:
    options = Parser(add_help=False)
    options.add_argument(
        "--to", type=_number, metavar="N", help="the migration to end at; undo --to 0 undoes all"
    )
    return options


def _asking() -> Parser:
    options = Parser(add_help=False)
    options.add_argument("--yes", action="store_true", help="write without asking")
    options.add_argument(
        "--wait",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait so long for a runner that is at work (default: not at all)",
    )
    return options


def _limits() -> Parser:
    options = Parser(add_help=False)
    options.add_argument("--rate", type=_rate, metavar="N", help="documents a second at most")
    options.add_argument(
        "--max-lag", type=seconds, metavar="SECONDS", help="of the secondaries, at most"
    )
    return options


def _place(text: str) -> tuple[str, str]:
    alias, dot, name = text.partition(".")
    if not (alias and dot and name):
        raise ValueError(text)
    return alias, name


def _number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value
