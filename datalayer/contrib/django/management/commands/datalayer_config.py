"""``manage.py datalayer_config``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("Shows every setting with its value, and where that comes from.", "config")
