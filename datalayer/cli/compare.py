"""What the commands have in common that compare the models with the databases."""

from __future__ import annotations

from collections.abc import Sequence

from datalayer.cli.failures import UsageError
from datalayer.cli.models import load_models, models_option
from datalayer.cli.options import Parser, connection_options
from datalayer.cli.output import Output
from datalayer.settings import Settings

_OWN_MODELS = "datalayer.models"


def model_options() -> Parser:
    """The options of a command that compares models with databases."""
    options = Parser(
        add_help=False,
        parents=[connection_options(timeout=10.0), models_option(f"; default: {_OWN_MODELS}")],
    )
    options.add_argument(
        "--alias", action="append", metavar="NAME", help="only this database (repeatable)"
    )
    return options


def load_known_models(output: Output, modules: Sequence[str] | None) -> None:
    """Import the models of ``modules``, or datalayer's own."""
    if not modules:
        output.message(f"comparing the models of {_OWN_MODELS}; name your own with --models")
    load_models(modules or (_OWN_MODELS,))


def chosen(settings: Settings, aliases: Sequence[str] | None) -> Settings:
    """The settings of ``aliases`` alone; all without any. Raises ``UsageError`` for others."""
    unknown = sorted(set(aliases or ()) - set(settings))
    if unknown:
        raise UsageError(
            f"no database has the alias {unknown[0]!r}; there are {', '.join(settings)}"
        )
    return Settings(databases={alias: settings[alias] for alias in aliases or settings})
