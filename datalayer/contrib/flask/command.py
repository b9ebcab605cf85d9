"""``flask datalayer …``: the ``datalayer`` command with the application's settings and models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from datalayer.cli import main
from datalayer.settings import Settings


def datalayer_command(settings_of: Callable[..., Settings]) -> click.Command:
    """The command for ``app.cli``; ``settings_of(app, **overrides)`` gives the settings."""

    @click.command(
        "datalayer",
        short_help="Look after the databases: status, doctor, indexes, transfer …",
        add_help_option=False,  # --help is the command's own, too
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    @with_appcontext
    def datalayer(words: tuple[str, ...]) -> None:
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # a proxy's
        sys.exit(
            main(
                words,
                program="flask datalayer",
                read_settings=partial(settings_of, app),
                models=(app.import_name,),
            )
        )

    return datalayer
