"""How are databases connected for migrations? The default one has to be there, with the models."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from datalayer.cli.connecting import opened
from datalayer.cli.model_options import chosen, load_models
from datalayer.cli.options import settings_of
from datalayer.importing import working_directory_last

_DEFAULT = "default"


@contextmanager
def connected(options: argparse.Namespace) -> Iterator[str]:
    """All databases, as far as they are there; the default one has to be. Gives the package of the
    migrations, which may import their neighbours in the working directory at any time."""
    settings = settings_of(options)
    load_models(options.models or ())
    default = chosen(settings, (_DEFAULT,))
    with (
        opened(default, timeout=options.timeout, required=True),
        opened(settings, timeout=options.timeout),
        working_directory_last(),
    ):
        yield settings.migrations
