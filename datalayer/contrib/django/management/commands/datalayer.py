"""``manage.py datalayer``: the whole ``datalayer`` command."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer`` with the project's settings."""

    help = "The datalayer command, with the settings and the models of this project."
