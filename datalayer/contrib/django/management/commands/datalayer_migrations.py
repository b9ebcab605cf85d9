"""``manage.py datalayer_migrations``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command(
    "Changes the shape of stored documents: plans, applies and undoes migrations.", "migrations"
)
