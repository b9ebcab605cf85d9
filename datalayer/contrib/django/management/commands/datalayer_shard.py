"""``manage.py datalayer_shard``."""

from __future__ import annotations

from datalayer.contrib.django.commands import DataLayerCommand


class Command(DataLayerCommand):
    """``datalayer shard``, with the project's settings."""

    help = "Compares the models' shard keys with the collections', and shards them."
    words = ("shard",)
