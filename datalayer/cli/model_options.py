"""Which of the application's models, and which databases, does a command know? The options
``--models`` and ``--alias``, and what the commands share that compare the two."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from datalayer.cli.connecting import opened
from datalayer.cli.exit_codes import ExitCode, UsageError
from datalayer.cli.options import Parser, Run, connection_options, settings_of
from datalayer.cli.output import Output
from datalayer.importing import import_named
from datalayer.settings import Settings

OWN_MODELS = "datalayer.models"


def models_option(help_more: str = "") -> Parser:
    """``--models PACKAGE.MODULE``, any number of times."""
    option = Parser(add_help=False)
    option.add_argument(
        "--models",
        action="append",
        metavar="PACKAGE.MODULE",
        help=f"import this module, which defines your models (repeatable{help_more})",
    )
    return option


def comparing_options() -> Parser:
    """The options of a command that compares models with databases."""
    options = Parser(
        add_help=False,
        parents=[connection_options(timeout=10.0), models_option(f"; default: {OWN_MODELS}")],
    )
    options.add_argument(
        "--alias", action="append", metavar="NAME", help="only this database (repeatable)"
    )
    return options


def comparing(compare: Callable[..., ExitCode]) -> Run:
    """``compare(output, settings, aliases=…, timeout=…)``, called from a command line with the
    ``comparing_options``, once the models are imported."""

    def run(output: Output, options: argparse.Namespace) -> ExitCode:
        settings = settings_of(options)
        if not options.models:
            output.message(f"comparing the models of {OWN_MODELS}; name your own with --models")
        load_models(options.models or (OWN_MODELS,))
        return compare(output, settings, aliases=options.alias, timeout=options.timeout)

    return run


@contextmanager
def connected_aliases(
    settings: Settings, aliases: Sequence[str] | None, timeout: float
) -> Iterator[Settings]:
    """Connect ``aliases`` (default: all) for a ``with`` block, and give it their settings."""
    settings = chosen(settings, aliases or tuple(settings))
    with opened(settings, timeout=timeout, required=True):
        yield settings


def chosen(settings: Settings, aliases: Sequence[str]) -> Settings:
    """The settings of ``aliases`` alone.

    Raises:
        UsageError: where one of them is not configured.
    """
    unknown = [alias for alias in aliases if alias not in settings]
    if unknown:
        raise UsageError(
            f"no database has the alias {unknown[0]!r}; there are {', '.join(settings)}"
        )
    return Settings(databases={alias: settings[alias] for alias in aliases})


def load_models(modules: Sequence[str]) -> None:
    """Import the modules that define the models, from the working directory too.

    Raises:
        UsageError: where one can't be imported.
    """
    for name in modules:
        try:
            import_named(name)
        except Exception as exc:
            missing = exc.name if isinstance(exc, ModuleNotFoundError) else None
            why = f"there is no module {missing!r}" if missing else type(exc).__name__
            raise UsageError(f"can't import the models of {name!r}: {why}") from exc
