"""Django's test project in the process of the tests: set up once, and each test with settings of
its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
import pytest
from django.apps import apps
from django.test import override_settings
from fresh_databases import model_registry
from paths import PROGRAMS

from datalayer.connections.registry import registry


@contextmanager
def django_site(**settings: Any) -> Iterator[None]:
    """The test project with ``settings``; datalayer reads its settings from there meanwhile."""
    read = registry.read_settings
    if not apps.ready:
        sys.path.insert(0, str(PROGRAMS))
        with pytest.MonkeyPatch.context() as meanwhile, model_registry():
            meanwhile.setenv("DJANGO_SETTINGS_MODULE", "django_site.settings")
            django.setup()
    from django_site.models import Note

    try:
        with model_registry(Note), override_settings(**settings):
            apps.get_app_config("datalayer").ready()
            yield
    finally:
        registry.read_settings = read
