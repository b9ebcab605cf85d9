"""One connection for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fresh_databases import connected, model_registry, settings_for

from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, mongod: EmbeddedMongo) -> Iterator[Settings]:
    """Connected, with the file's ``MODELS``, to databases for its ``ALIASES``."""
    aliases = getattr(request.module, "ALIASES", ("default", "database1"))
    with (
        model_registry(*request.module.MODELS),
        connected(settings_for(mongod, *aliases)) as settings,
    ):
        yield settings
