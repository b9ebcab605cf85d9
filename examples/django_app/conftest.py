"""For pytest, in the place of ``manage.py test``: each test has MongoDB databases of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import ModuleType

import django
import pytest
from django.test import Client
from django.test.utils import setup_test_environment, teardown_test_environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "neighbours.settings")
django.setup()  # imports the models, so that their indexes are there in each test

Visitor = Callable[[str], Client]


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """What pytest-django does by itself."""
    setup_test_environment()
    yield
    teardown_test_environment()


@pytest.fixture
def datalayer_migrations() -> str:
    return "neighbours.document_migrations"


@pytest.fixture(autouse=True)
def databases(datalayer_db: ModuleType) -> ModuleType:
    """MongoDB's, connected and empty; ConnectMiddleware uses them, whatever the settings say."""
    return datalayer_db


@pytest.fixture
def visitor() -> Visitor:
    """``visitor("ada")`` is the browser of somebody who has signed up under that name."""

    def sign_up(name: str) -> Client:
        browser = Client()
        form = {"email": f"{name}@example.org", "password": f"{name}-password"}
        browser.post("/sign-up", {**form, "display_name": name.title()})
        return browser

    return sign_up
