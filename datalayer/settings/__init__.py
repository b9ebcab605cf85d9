"""Settings: read from the environment, `.env` or code, checked all at once, kept as frozen
values. Reading them does no network I/O, and nothing here shows a secret."""

from __future__ import annotations

from datalayer.settings.builder import Row
from datalayer.settings.collection import Settings
from datalayer.settings.recorder import RecorderSettings
from datalayer.settings.uri import redact
from datalayer.settings.values import DatabaseSettings
from datalayer.settings.variables import Variable, prefix_of

__all__ = [
    "DatabaseSettings",
    "RecorderSettings",
    "Row",
    "Settings",
    "Variable",
    "prefix_of",
    "redact",
]
