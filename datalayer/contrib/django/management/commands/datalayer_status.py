"""``manage.py datalayer_status``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("Connects, and shows how each database is doing.", "status")
