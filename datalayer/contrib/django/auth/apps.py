"""The application ``datalayer_auth``: notes when users sign in, and registers its checks."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class DataLayerAuthConfig(AppConfig):
    """No table and no migration: one model without either stands for the document of users."""

    name = "datalayer.contrib.django.auth"
    label = "datalayer_auth"
    verbose_name = "datalayer's users"

    def ready(self) -> None:
        """Connects to nothing."""
        from django.contrib.auth.signals import user_logged_in

        from datalayer.contrib.django.auth import checks

        user_logged_in.connect(_note_login, dispatch_uid=f"{self.name}.last_login")
        checks.register()


def _note_login(sender: Any, user: Any, **_facts: Any) -> None:
    """As Django does for its own users. Only this field is written."""
    from datalayer.contrib.django.auth.documents import AbstractBaseUserDocument
    from datalayer.documents import utc_now

    if issubclass(sender, AbstractBaseUserDocument):
        now = utc_now()
        sender.objects(pk=user.pk).update(last_login=now)
        user._data["last_login"] = now  # as if loaded so: nothing is left to save
