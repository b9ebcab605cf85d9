"""Which options do commands share, and how are they read?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn, TypeAlias

from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.output import Output
from datalayer.settings import Settings

_DAY_SECONDS = 86_400


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that raises ``UsageError`` instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Called by argparse for a command line that it can't read."""
        raise UsageError(message, self.format_usage())


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
Run: TypeAlias = Callable[[Output, argparse.Namespace], ExitCode]
"""What a command's parser has as its default ``run``."""


def common_options() -> Parser:
    """``--json`` and ``--verbose``, for before and after the command's name."""
    options = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    options.add_argument("--json", action="store_true", help="the result as one JSON document")
    options.add_argument(
        "-v", "--verbose", action="store_true", help="log lines, and tracebacks of errors"
    )
    return options


def settings_options() -> Parser:
    """The settings that a command line may give itself; ``settings_of`` reads them."""
    options = Parser(add_help=False, parents=[common_options()])
    options.add_argument(
        "--uri",
        help="instead of MONGODB_URI (prefer the variable where it holds a password: others on "
        "this machine can see a command line)",
    )
    options.add_argument("--database1-uri", metavar="URI", help="instead of DATABASE1_URI")
    return options


def connection_options(*, timeout: float) -> Parser:
    """Where to connect, and how long to wait, for the commands that do."""
    options = Parser(add_help=False, parents=[settings_options()])
    options.add_argument(
        "--timeout",
        type=seconds,
        default=timeout,
        metavar="SECONDS",
        help="how long to wait for a server (default: %(default)g)",
    )
    return options


def calling(command: Callable[..., ExitCode], *names: str) -> Run:
    """``command(output, settings, …)``, called with the options ``names`` as keywords."""

    def run(output: Output, options: argparse.Namespace) -> ExitCode:
        keywords = {name: getattr(options, name) for name in names}
        return command(output, settings_of(options), **keywords)

    return run


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings from the command line, the environment and ``.env``; or from what stands in
    their place where a framework runs the command.

    Raises:
        ConfigurationError: with all problems at once.
    """
    read: Callable[..., Settings] = options.read_settings
    return read(mongodb_uri=options.uri, database1_uri=options.database1_uri)


def seconds(text: str) -> float:
    """A number of seconds, from 0.1 to a day."""
    value = float(text)
    if not 0.1 <= value <= _DAY_SECONDS:
        raise ValueError(text)
    return value


def count(text: str) -> int:
    """A whole number, at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value
