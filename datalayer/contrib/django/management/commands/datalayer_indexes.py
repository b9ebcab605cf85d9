"""``manage.py datalayer_indexes``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command(
    "Compares the models' indexes with the servers', and brings them in line.", "indexes"
)
