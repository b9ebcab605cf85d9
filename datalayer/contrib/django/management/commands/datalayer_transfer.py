"""``manage.py datalayer_transfer``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer transfer``, with the project's settings."""

    help = "Plans, runs, verifies and takes back moves of documents between databases."
    words = ("transfer",)
