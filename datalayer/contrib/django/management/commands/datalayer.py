"""``manage.py datalayer``: the whole ``datalayer`` command."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("The datalayer command, with the settings and the models of this project.")
