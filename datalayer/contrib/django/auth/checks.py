"""System checks: whether the settings of authentication fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import register as register_check
from django.core.exceptions import ImproperlyConfigured

from datalayer.contrib.django.auth.user_document import get_user_document

MODEL = "datalayer_auth.DocumentUser"
BACKEND = "datalayer.contrib.django.auth.backends.DocumentBackend"
_OF_THE_ORM = {
    "django.contrib.auth.backends.ModelBackend",
    "django.contrib.auth.backends.AllowAllUsersModelBackend",
}


def register() -> None:
    """Tell Django of the check."""
    register_check(check_users, "datalayer")


def check_users(**_options: Any) -> list[CheckMessage]:
    """E010 to E013: what of ``django.contrib.auth`` does not fit users that are documents."""
    return list(_problems()) if apps.is_installed("datalayer.contrib.django.auth") else []


def _problems() -> Iterator[CheckMessage]:
    try:
        get_user_document()
    except ImproperlyConfigured as exc:
        yield Error(str(exc), id="datalayer.E010")
    if settings.AUTH_USER_MODEL != MODEL:
        yield Error(
            f"AUTH_USER_MODEL is {settings.AUTH_USER_MODEL!r}, so that Django looks for its users "
            "in the ORM's database.",
            hint=f'Set AUTH_USER_MODEL = "{MODEL}".',
            id="datalayer.E011",
        )
        return
    if _OF_THE_ORM & set(settings.AUTHENTICATION_BACKENDS):
        yield Error(
            "AUTHENTICATION_BACKENDS names a backend that asks the ORM's tables of permissions.",
            hint=f'Set AUTHENTICATION_BACKENDS = ["{BACKEND}"].',
            id="datalayer.E012",
        )
    if apps.is_installed("django.contrib.admin"):
        yield Error(
            "django.contrib.admin is installed; it shows the ORM's models alone, and writes a log "
            "that refers to a table of users.",
            hint="Leave it out, or keep Django's own users for it; the page on Django says what "
            "there is instead.",
            id="datalayer.E013",
        )
