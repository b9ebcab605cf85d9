"""``manage.py datalayer_schema``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command(
    "Compares documents and validators with what the models say, and sets validators.", "schema"
)
