"""What the management commands have in common: they are the ``datalayer`` command, with the
settings and the models of the Django project."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any, ClassVar

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser

from datalayer import cli
from datalayer.contrib.django.settings import read_settings


class DataLayerCommand(BaseCommand):
    """``manage.py datalayer_NAME`` does what ``datalayer NAME`` does, with the same options and
    exit codes. A code other than 0 is a ``CommandError`` with that ``returncode``."""

    words: ClassVar[Sequence[str]] = ()
    requires_system_checks = ()  # some are there to say what is wrong with the settings

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Django's parser, which leaves what it does not know to that of ``datalayer``."""
        parser: CommandParser = super().create_parser(
            prog_name, subcommand, add_help=False, allow_abbrev=False, **options
        )
        parser.parse_args = partial(_parse, parser)
        return parser

    def handle(self, *args: str, **options: Any) -> None:
        """Run the command."""
        words = [*self.words, *args]
        if options["verbosity"] > 1:
            words.append("--verbose")
        # Django's wrappers end each write with a new line; the command has its own.
        self.stdout.ending = self.stderr.ending = ""
        with redirect_stdout(self.stdout), redirect_stderr(self.stderr):
            code = cli.main(
                words,
                program="manage.py datalayer",
                read_settings=read_settings,
                models=_modules_of_models(),
            )
        if code:
            name = " ".join(("datalayer", *self.words))
            raise CommandError(f"{name} ended with exit code {code}", returncode=code)


def command(help_text: str, *words: str) -> type[DataLayerCommand]:
    """The management command that is ``datalayer WORDS``, with the project's settings."""
    return type("Command", (DataLayerCommand,), {"help": help_text, "words": words})


def _parse(
    parser: CommandParser,
    args: Sequence[str] | None = None,
    namespace: argparse.Namespace | None = None,
) -> argparse.Namespace:
    options: argparse.Namespace
    options, words = parser.parse_known_args(args, namespace)
    options.args = words
    return options


def _modules_of_models() -> list[str]:
    """Django imports ``models`` of each application, and there documents may be defined too."""
    modules = (each.models_module for each in apps.get_app_configs())
    return [module.__name__ for module in modules if module is not None]
