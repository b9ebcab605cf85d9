"""``manage.py datalayer_shard``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command(
    "Compares the models' shard keys with the collections', and shards them.", "shard"
)
