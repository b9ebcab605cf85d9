"""A Flask application with forms, connected to a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from fresh_databases import connected, model_registry, settings_for

from datalayer.embedded import EmbeddedMongo


@pytest.fixture(scope="module")
def database(mongod: EmbeddedMongo) -> Iterator[None]:
    with connected(settings_for(mongod)):
        yield


@pytest.fixture
def models(database: None) -> Iterator[None]:
    """What a test defines is forgotten after it."""
    with model_registry():
        yield


@pytest.fixture
def app(models: None) -> Iterator[Flask]:
    """Without tokens against forged requests, inside of whose context forms can be made."""
    app = Flask("forms")
    app.config.update(SECRET_KEY="test", WTF_CSRF_ENABLED=False, TESTING=True)
    with app.app_context(), ExitStack() as requests:
        app.extensions["requests"] = requests  # uploads can be read until theirs ends
        yield app
