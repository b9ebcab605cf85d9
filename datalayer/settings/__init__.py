"""Settings: read from the environment, `.env` or code, checked all at once, kept as frozen
values. Reading them does no network I/O, and nothing here shows a secret."""

from __future__ import annotations

from datalayer.settings.database_settings import DatabaseSettings
from datalayer.settings.parsing import Row
from datalayer.settings.recorder_settings import RecorderSettings
from datalayer.settings.settings import Settings
from datalayer.settings.uri.uri import redact
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
