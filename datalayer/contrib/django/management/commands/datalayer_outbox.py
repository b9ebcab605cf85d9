"""``manage.py datalayer_outbox``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer outbox``, with the project's settings."""

    help = "Delivers documents that transactions left for other databases."
    words = ("outbox",)
