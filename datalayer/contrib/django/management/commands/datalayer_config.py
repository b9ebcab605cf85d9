"""``manage.py datalayer_config``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer config``, with the project's settings."""

    help = "Shows every setting with its value, and where that comes from."
    words = ("config",)
