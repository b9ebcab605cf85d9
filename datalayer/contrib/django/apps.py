"""The Django application: tells datalayer where the settings are, and registers the checks."""

from __future__ import annotations

from django.apps import AppConfig

from datalayer.connections.registry import registry


class DataLayerConfig(AppConfig):
    """No models of the ORM, no migrations, no admin: commands, checks, views and middleware."""

    name = "datalayer.contrib.django"
    label = "datalayer"
    verbose_name = "datalayer"

    def ready(self) -> None:
        """Connects to nothing and starts no thread. Doing it again changes nothing."""
        from datalayer.contrib.django import checks
        from datalayer.contrib.django.settings import conceal_secrets, read_settings

        conceal_secrets()
        registry.read_settings = read_settings
        checks.register()
