"""The ``datalayer`` command: reads the command line, runs one command, answers with its exit
code::

    parser          which commands are there?
    options         which options do they share?
    models          which models and databases does a command compare?
    commands/       what does a command do? (one a file)
    demo/           what does ``datalayer demo`` play?
    connecting      how are databases connected for one command?
    each_database   how does a command run over many databases of a server?
    output          where are results, messages and errors written?
    progress_output how is progress told meanwhile?
    tables          how does a table look, in plain text and drawn by rich?
    text_width      how does a text fit the width of a terminal?
    log_output      what becomes of log records meanwhile?
    exit_codes      how does a command end?
    error_messages  what is said about an error?
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from datalayer.cli.error_messages import document_of, message_of, traceback_of
from datalayer.cli.exit_codes import ExitCode, UsageError, exit_code_of
from datalayer.cli.log_output import quiet_log
from datalayer.cli.output import Output
from datalayer.cli.parser import build_parser
from datalayer.logs import configure_logging
from datalayer.settings import Settings

__all__ = ["main"]


def main(
    arguments: Sequence[str] | None = None,
    *,
    program: str = "datalayer",
    read_settings: Callable[..., Settings] = Settings.from_env,
    models: Sequence[str] = (),
) -> int:
    """Run the command that ``arguments`` (default: those of the process) ask for.

    A framework's own command line says how it is called (``program``), where the settings come
    from (``read_settings``, called like ``Settings.from_env``), and which modules define the
    application's models where ``--models`` names none.

    Returns the exit code: 0 ok, 1 failure, 2 wrong command line or settings, 3 unhealthy or
    work pending. What ends a command otherwise is told on standard error in one message.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _escape_missing_letters(sys.stdout)
    # Looked for by hand, so that a command line that can't be read is answered in JSON too.
    output = Output(as_json="--json" in words)
    verbose = not {"-v", "--verbose"}.isdisjoint(words)
    try:
        options = _parse(words, program)
        options.read_settings = read_settings
        if getattr(options, "models", ()) is None and not getattr(options, "drop", False):
            options.models = list(models)  # what removes things wants them named
        if verbose:
            configure_logging(level=logging.INFO)
        with quiet_log(output):
            return int(options.run(output, options))
    except SystemExit as end:  # --help and --version
        return end.code if isinstance(end.code, int) else ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return ExitCode.READER_GONE
    except Exception as error:  # noqa: BLE001 - a traceback is no message for a user
        _tell(error, output, verbose=verbose)
        return exit_code_of(error)


def _parse(words: Sequence[str], program: str) -> argparse.Namespace:
    parser = build_parser(program)
    options, unread = parser.parse_known_args(words)
    if unread:
        # Other words stay unsaid: a password with a space in it ends up there.
        flags = [word.partition("=")[0] for word in unread if word.startswith("-")]
        what = f"the option {flags[0]}" if flags else "a word after those it could read"
        raise UsageError(f"the command does not know {what}", parser.format_usage())
    return options


def _tell(error: Exception, output: Output, *, verbose: bool) -> None:
    if verbose and getattr(error, "usage", None) is None:
        output.message(traceback_of(error))
    if isinstance(error, UsageError) and error.usage:
        output.message(error.usage.rstrip())
    output.error(message_of(error))
    if output.as_json:
        output.show(document_of(error), [])


def _escape_missing_letters(stream: Any) -> None:
    """Have standard output escape letters that its character set lacks, as standard error does,
    rather than end the command in the middle of its result."""
    loses = getattr(stream, "errors", "") in ("strict", "surrogateescape")
    if loses and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    """Keep the interpreter from complaining at exit about what it can't flush any more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
