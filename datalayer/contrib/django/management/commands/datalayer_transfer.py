"""``manage.py datalayer_transfer``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command(
    "Plans, runs, verifies and takes back moves of documents between databases.", "transfer"
)
