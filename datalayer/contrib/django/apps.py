"""The Django application: tells datalayer where the settings are, and registers the checks."""

from __future__ import annotations

from django.apps import AppConfig

from datalayer.connections.registry import registry

_ALTERING = {
    "Document": ("delete", "modify", "save", "update", "drop_collection"),
    "QuerySet": ("create", "delete", "insert", "modify", "update", "update_one", "upsert_one"),
}


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
        _guard_templates()
        registry.read_settings = read_settings
        checks.register()


def _guard_templates() -> None:
    """Templates call what can be called: have them leave alone what changes the database, as
    Django's own models do."""
    from datalayer import documents

    for kind, names in _ALTERING.items():
        for name in names:
            method = getattr(getattr(documents, kind), name)
            getattr(method, "__func__", method).alters_data = True
