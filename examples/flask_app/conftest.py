"""The application over databases of each test's own, which datalayer's pytest plugin makes."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flea_market import create_app

Visitor = Callable[[str], FlaskClient]


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
