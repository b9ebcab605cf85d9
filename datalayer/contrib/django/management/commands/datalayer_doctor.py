"""``manage.py datalayer_doctor``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("Looks for what commonly goes wrong, and says what to do.", "doctor")
