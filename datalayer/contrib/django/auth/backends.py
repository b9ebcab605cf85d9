"""Who may sign in, and what they may do: for ``AUTHENTICATION_BACKENDS``."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import BaseBackend
from mongoengine.errors import ValidationError

from datalayer.contrib.django.auth.user_document import get_user_document


class DocumentBackend(BaseBackend):
    """Signs in the users of ``DATALAYER_USER_DOCUMENT`` by name and password.

    It asks MongoDB alone, and so raises ``UnavailableError`` while that is away.
    """

    def authenticate(
        self, request: Any, username: Any = None, password: Any = None, **credentials: Any
    ) -> Any:
        """The active user with this name and password, or ``None``. Takes as long for a name that
        nobody has."""
        document = get_user_document()
        name = credentials.get(document.USERNAME_FIELD) if username is None else username
        if not isinstance(name, str) or not isinstance(password, str):
            return None
        user = document.objects(
            **{document.USERNAME_FIELD: document.normalize_username(name)}
        ).first()
        if user is None:
            document().set_password(password)
            return None
        fits = user.check_password(password)
        return user if fits and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        """Whether the account may be used: those who are not active may not."""
        return bool(getattr(user, "is_active", True))

    def get_user(self, user_id: Any) -> Any:
        """The active user with this key, or ``None``."""
        try:
            user = get_user_document().objects(pk=user_id).first()
        except ValidationError:
            return None  # a session from before, when users were others
        return user if user is not None and self.user_can_authenticate(user) else None

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """What stands in ``user_permissions``; of a single object it says nothing."""
        if obj is not None or not user_obj.is_active:
            return set()
        return set(getattr(user_obj, "user_permissions", ()))

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Whether one of the permissions is of an application."""
        prefix = f"{app_label}."
        return any(each.startswith(prefix) for each in self.get_all_permissions(user_obj))
