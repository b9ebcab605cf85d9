"""``datalayer demo``: the package at work, with no set-up."""

from __future__ import annotations

import argparse

from datalayer.cli.exit_codes import UsageError
from datalayer.cli.options import Commands, common_options
from datalayer.cli.output import Output


def add_to(commands: Commands) -> None:
    """Add ``demo`` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="see two databases at work, on private servers, with no set-up",
        description="Starts private servers, connects two databases, fills and queries them, "
        "takes one away, and cleans up. Configured databases are not touched.",
        parents=[common_options()],
    )
    parser.add_argument(
        "--uri", help="use this server instead, in databases named datalayer_demo…"
    )
    parser.add_argument("--keep", action="store_true", help="with --uri: leave the data there")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="how much data (default: 1, 24,000 documents)"
    )
    parser.add_argument("--seed", type=int, default=2024, help="which data (default: 2024)")
    parser.set_defaults(run=_run)


def _run(output: Output, options: argparse.Namespace) -> int:
    from datalayer.cli import demo  # only here: it imports the models

    if options.scale <= 0:
        raise UsageError("--scale must be more than 0")
    if options.keep and options.uri is None:
        raise UsageError("--keep needs --uri: private servers end with the demo")
    return demo.run(
        uri=options.uri,
        scale=options.scale,
        seed=options.seed,
        keep=options.keep,
        json=output.as_json,
        output=output.stdout,
        messages=output.stderr,
    )
