"""The application over databases of each test's own, which datalayer's pytest plugin makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from unittest.mock import patch

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flea_market import create_app

Visitor = Callable[[str], FlaskClient]


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Hashing is slow on purpose. Here nobody has to be kept from guessing."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with patch("datalayer.models.business.user.password_hasher", return_value=cheap):
        yield


@pytest.fixture
def datalayer_migrations() -> str:
    return "flea_market.migrations"


@pytest.fixture
def app(datalayer_db: ModuleType) -> Flask:
    # TESTING has the extension use what the fixture connected, whatever the settings say.
    return create_app({"TESTING": True, "SECRET_KEY": "test", "ADMINS": ["ada@example.org"]})


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """``visitor("ada")`` is the browser of somebody who has signed up under that name."""

    def sign_up(name: str) -> FlaskClient:
        client = app.test_client()
        form = {"email": f"{name}@example.org", "password": f"{name}-password"}
        client.post("/sign-up", data={**form, "display_name": name.title()})
        return client

    return sign_up
