"""Which document is the project's user: the setting ``DATALAYER_USER_DOCUMENT``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

_NEEDED = ("USERNAME_FIELD", "check_password", "get_session_auth_hash")


def get_user_document() -> Any:
    """The class that ``DATALAYER_USER_DOCUMENT`` names.

    Raises:
        ImproperlyConfigured: where it is not set, can't be imported, or is no document of users.
    """
    name = getattr(settings, "DATALAYER_USER_DOCUMENT", None)
    if not name:
        raise ImproperlyConfigured(
            "DATALAYER_USER_DOCUMENT is not set; name your document of users there, such as "
            '"shop.models.User"'
        )
    try:
        found = import_string(name)
    except ImportError as exc:
        raise ImproperlyConfigured(f"DATALAYER_USER_DOCUMENT: {exc}") from exc
    missing = [each for each in _NEEDED if not hasattr(found, each)]
    if missing:
        raise ImproperlyConfigured(
            f"DATALAYER_USER_DOCUMENT names {name}, which has no {', '.join(missing)}; derive it "
            "from datalayer.contrib.django.auth.AbstractUserDocument"
        )
    return found
