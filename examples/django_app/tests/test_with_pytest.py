"""Tests as functions, for pytest only: their fixtures are in ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from django.test import Client
from neighbours.models import AnalyticsEvent, Profile, User

from datalayer import recorder

Visitor = Callable[[str], Client]


def test_signing_up_makes_a_user_and_a_profile(visitor: Visitor) -> None:
    visitor("ada")
    assert Profile.of(User.objects.get()).display_name == "Ada"


def test_page_views_are_recorded(visitor: Visitor) -> None:
    visitor("ada").get("/nearby")
    assert recorder.flush(timeout=10)  # they are stored in batches, by a thread
    assert AnalyticsEvent.objects(properties__route="nearby").count() == 1


def test_pages_are_there_without_analytics(visitor: Visitor, databases: ModuleType) -> None:
    ada = visitor("ada")
    databases.database1.disconnect()
    assert ada.get("/numbers").status_code == 200
