"""The option ``--models``: which of the application's models a command knows."""

from __future__ import annotations

from collections.abc import Sequence

from datalayer.cli.failures import UsageError
from datalayer.cli.options import Parser
from datalayer.importing import import_named


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
