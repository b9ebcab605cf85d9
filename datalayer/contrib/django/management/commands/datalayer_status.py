"""``manage.py datalayer_status``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer status``, with the project's settings."""

    help = "Connects, and shows how each database is doing."
    words = ("status",)
