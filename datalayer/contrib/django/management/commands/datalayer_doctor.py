"""``manage.py datalayer_doctor``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer doctor``, with the project's settings."""

    help = "Looks for what commonly goes wrong, and says what to do."
    words = ("doctor",)
