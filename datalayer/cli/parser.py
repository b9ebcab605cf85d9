"""The command line's grammar, put together from what each command's module adds in ``add_to``."""

from __future__ import annotations

import datalayer
from datalayer.cli.commands import (
    config,
    demo,
    doctor,
    indexes,
    migrations,
    outbox,
    ping,
    schema,
    shard,
    status,
    top,
    transfer,
)
from datalayer.cli.options import Parser, common_options

_EPILOG = """\
exit codes: 0 ok; 1 failure; 2 wrong command line or settings; 3 a database is unhealthy, or work
is pending; 130 after Ctrl-C. With --json, standard output holds one JSON document; messages and
progress are on standard error."""


def build_parser(program: str = "datalayer") -> Parser:
    """The parser of the whole command line; ``options.run(output, options)`` does the work."""
    parser = Parser(
        prog=program,
        description="MongoEngine documents over several MongoDB databases.",
        epilog=_EPILOG,
        parents=[common_options()],
        allow_abbrev=False,
    )
    # Where another project's package has taken the place of ours, `doctor` still has to run.
    version = getattr(datalayer, "__version__", "unknown")
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (
        demo,
        status,
        ping,
        doctor,
        config,
        indexes,
        schema,
        shard,
        outbox,
        migrations,
        transfer,
        top,
    ):
        command.add_to(commands)
    return parser
