"""The grammar of ``datalayer transfer``."""

from __future__ import annotations

from collections.abc import Mapping

from datalayer.cli.each_database import databases_options
from datalayer.cli.model_options import models_option
from datalayer.cli.options import Commands, Parser, Run, connection_options, count, seconds

_EPILOG = (
    "exit codes: 0 done, and both sides verified; 1 stopped, or refused; 2 wrong command line or "
    "settings; 3 not finished, or the two sides differ"
)


def add_commands(commands: Commands, runs: Mapping[str, Run]) -> None:
    """Add ``transfer`` and its commands, carried out by ``runs``."""
    group = commands.add_parser(
        "transfer", help="move or copy documents between databases", epilog=_EPILOG
    ).add_subparsers(metavar="COMMAND", required=True)
    connecting = connection_options(timeout=10.0)
    planning = [connecting, databases_options(), models_option(), _what(), _how(), _limits()]
    named = [connecting, databases_options(), _named()]
    parsers = {
        "plan": group.add_parser(
            "plan", help="check what a run would do; writes nothing", parents=planning
        ),
        "run": group.add_parser(
            "run", help="copy, verify, and for a move delete what was verified", parents=planning
        ),
        "resume": group.add_parser(
            "resume", help="go on with a transfer that was interrupted", parents=named
        ),
        "verify": group.add_parser(
            "verify", help="compare every document on both sides", parents=named
        ),
        "cut-over": group.add_parser(
            "cut-over",
            help="end one that follows changes, when the source is no longer written to",
            parents=[connecting, databases_options(), _named(wait_seconds=60.0)],
        ),
        "rollback": group.add_parser(
            "rollback", help="take back what a transfer wrote", parents=named
        ),
        "list": group.add_parser("list", help="all transfers", parents=[connecting]),
        "show": group.add_parser("show", help="one transfer and its plan", parents=named),
    }
    parsers["run"].add_argument(
        "--yes", action="store_true", help="delete from the source without asking"
    )
    parsers["rollback"].add_argument(
        "--force",
        action="store_true",
        help="take back also documents that have changed in the target since; where the source "
        "has another document of the same _id by now, both stay",
    )
    for name, parser in parsers.items():
        parser.epilog = _EPILOG
        parser.set_defaults(run=runs[name])


def _what() -> Parser:
    options = Parser(add_help=False)
    options.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help="a recipe, like history-chat-messages"
    )
    options.add_argument(
        "--option", action="append", metavar="NAME=VALUE", help="an option of the recipe"
    )
    options.add_argument("--name", help="what to call the transfer")
    options.add_argument(
        "--model", action="append", metavar="NAME", help="a model's documents (repeatable)"
    )
    options.add_argument(
        "--collection",
        action="append",
        metavar="NAME[=TARGET]",
        help="a collection, under another name in the target if given (repeatable)",
    )
    options.add_argument("--from", dest="source", metavar="ALIAS", help="where to read")
    options.add_argument("--to", metavar="ALIAS", help="where to write")
    options.add_argument("--filter", metavar="JSON", help="which documents, as Extended JSON")
    return options


def _how() -> Parser:
    options = Parser(add_help=False)
    kinds = options.add_mutually_exclusive_group()
    kinds.add_argument("--move", action="store_true", help="delete from the source afterwards")
    kinds.add_argument("--copy", dest="move", action="store_false", help="the default")
    options.add_argument(
        "--conflicts",
        choices=("fail", "skip", "replace"),
        default="fail",
        help="about documents that the target has already (default: fail, it has to be empty)",
    )
    options.add_argument(
        "--method",
        choices=("merge", "copy"),
        help="merge: by the server itself; copy: through this process (default: what is faster)",
    )
    options.add_argument(
        "--field",
        action="append",
        metavar="NEW=OLD",
        help="rename a field; NAME= leaves it out (repeatable)",
    )
    options.add_argument("--set", metavar="JSON", help="fields that every document gets")
    options.add_argument(
        "--transform", metavar="MODULE:FUNCTION", help="takes a document, gives the new one"
    )
    options.add_argument("--inverse", metavar="MODULE:FUNCTION", help="the way back")
    options.add_argument(
        "--snapshot",
        action="store_true",
        help="copy the source as it was when the run began (at most 5 minutes long by default)",
    )
    options.add_argument(
        "--follow",
        action="store_true",
        help="carry over what changes in the source, until `datalayer transfer cut-over`",
    )
    options.add_argument(
        "--no-options", action="store_true", help="leave out the source's options and indexes"
    )
    return options


def _limits() -> Parser:
    options = Parser(add_help=False)
    options.add_argument("--batch-size", type=count, metavar="N")
    options.add_argument("--rate", type=float, metavar="N", help="documents a second at most")
    options.add_argument(
        "--max-lag", type=seconds, metavar="SECONDS", help="of the target's secondaries"
    )
    options.add_argument(
        "--lease",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long a runner that has died keeps others out (default: %(default)g)",
    )
    return options


def _named(wait_seconds: float = 0.0) -> Parser:
    options = Parser(add_help=False)
    options.add_argument("name", metavar="NAME", help="the transfer")
    options.add_argument("--to", metavar="ALIAS", help="the database that it writes to")
    options.add_argument(
        "--wait",
        type=seconds,
        default=wait_seconds,
        metavar="SECONDS",
        help="wait so long for the runner that is at work (default: %(default)g)",
    )
    return options
