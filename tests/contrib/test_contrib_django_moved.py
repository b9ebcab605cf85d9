"""What the page for those who come from django-mongoengine promises of names and stored data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import DBRef, ObjectId
from django.contrib.auth.hashers import make_password
from django.test import override_settings
from django.utils.module_loading import import_string
from django_in_process import django_site
from fresh_databases import model_registry
from paths import DOCS

from datalayer.connections.registry import registry
from datalayer.contrib.django import connect

PAGE = (DOCS / "from-django-mongoengine.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)[2:]


@pytest.fixture
def site(uris: dict[str, str]) -> Iterator[Any]:
    with (
        django_site(DATALAYER=uris),
        override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]),
        override_settings(DATALAYER_USER_DOCUMENT="django_site.documents.Visitor"),
    ):
        from django_site.documents import Visitor

        with model_registry(Visitor):
            connect()
            yield Visitor


def test_every_row_has_an_answer() -> None:
    assert len(ROWS) > 30
    assert [old for old, new in ROWS if len(new) < 5] == []


def test_every_name_of_ours_is_there() -> None:
    names = set(re.findall(r"`(datalayer\.contrib\.[\w.]+\.[A-Za-z_]+)`", PAGE))
    with django_site():
        for name in names - {"datalayer.contrib.django.auth"}:
            assert import_string(name), name
    assert len(names) > 15


def test_a_stored_user_of_theirs_signs_in_as_before(site: Any) -> None:
    from datalayer.contrib.django.auth.backends import DocumentBackend

    stored = {
        "username": "ada",
        "email": "ada@example.org",
        "password": make_password("correct horse"),
        "is_staff": False,
        "is_active": True,
        "is_superuser": False,
        "last_login": datetime(2020, 1, 1, tzinfo=UTC),
        "date_joined": datetime(2020, 1, 1, tzinfo=UTC),
        "user_permissions": [DBRef("permission", ObjectId())],
    }
    registry.connection().database["visitors"].insert_one(stored)
    user = DocumentBackend().authenticate(None, username="ada", password="correct horse")
    assert user.get_username() == "ada"
    assert user.last_login == stored["last_login"]


def test_get_or_create_is_one_operation(site: Any) -> None:
    for nickname in ("first", "second"):
        user = site.objects(username="ada").modify(
            upsert=True, new=True, set_on_insert__nickname=nickname
        )
    assert (user.nickname, site.objects.count()) == ("first", 1)
