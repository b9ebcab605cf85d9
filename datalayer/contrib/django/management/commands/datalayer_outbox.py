"""``manage.py datalayer_outbox``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("Delivers documents that transactions left for other databases.", "outbox")
