"""How does a command end? The exit codes, and which errors lead to which."""

from __future__ import annotations

from enum import IntEnum

from datalayer.errors import ConfigurationError


class ExitCode(IntEnum):
    """What the ``datalayer`` command tells the shell."""

    OK = 0
    FAILURE = 1
    """The command could not do its work; standard error says why."""
    USAGE = 2
    """The command line or the settings are wrong: trying again without a change can't help."""
    UNHEALTHY = 3
    """A database does not answer, or ``doctor`` found an error."""
    PENDING = 3
    """There is work to do: ``indexes diff`` found differences."""
    INTERRUPTED = 130
    """Ctrl-C, as the shell counts it (128 + SIGINT)."""
    READER_GONE = 141
    """Nobody reads standard output any more, ``| head`` say (128 + SIGPIPE)."""


class UsageError(Exception):
    """The command line is wrong. ``usage`` shows how it is meant to be."""

    def __init__(self, message: str, usage: str | None = None) -> None:
        super().__init__(message)
        self.usage = usage


def exit_code_of(error: Exception) -> ExitCode:
    """2 for what the caller has to change in the command or the settings, else 1."""
    return (
        ExitCode.USAGE if isinstance(error, UsageError | ConfigurationError) else ExitCode.FAILURE
    )
