"""``manage.py datalayer_top``."""

from __future__ import annotations

from datalayer.contrib.django.commands import command

Command = command("A live view of pools, connections and running operations.", "top")
