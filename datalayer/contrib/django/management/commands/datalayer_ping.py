"""``manage.py datalayer_ping``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer ping``, with the project's settings."""

    help = "Tells how many milliseconds each database takes to answer."
    words = ("ping",)
