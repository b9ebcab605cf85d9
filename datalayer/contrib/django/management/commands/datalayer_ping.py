"""``manage.py datalayer_ping``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("Tells how many milliseconds each database takes to answer.", "ping")
