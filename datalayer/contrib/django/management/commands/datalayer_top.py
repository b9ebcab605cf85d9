"""``manage.py datalayer_top``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer top``, with the project's settings."""

    help = "A live view of pools, connections and running operations."
    words = ("top",)
