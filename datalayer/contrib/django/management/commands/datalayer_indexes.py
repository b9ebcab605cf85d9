"""``manage.py datalayer_indexes``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer indexes``, with the project's settings."""

    help = "Compares the models' indexes with the servers', and brings them in line."
    words = ("indexes",)
