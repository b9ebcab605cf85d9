"""Settings: read from the environment, `.env` or code, checked all at once, kept as frozen
values. Reading them does no network I/O, and nothing here shows a secret.

- `variables`: which settings there are; add one here. `value_types`: what a value may be.
- `sources`, `dot_env`: where values come from, and which source wins.
- `unknown_variables`: what is said of names that are misspelt, or set and not read.
- `parsing`: how texts become the settings of one database, with every problem.
- `settings`, `database_settings`, `recorder_settings`: the values that applications use.
- `uri/`: how a MongoDB URI is read, checked and shown without its secrets.
- `mongoengine/`: how arguments of `mongoengine.connect` are carried over.
"""

from __future__ import annotations

from datalayer.settings.database_settings import DatabaseSettings
from datalayer.settings.parsing import Row
from datalayer.settings.recorder_settings import RecorderSettings
from datalayer.settings.settings import Settings
from datalayer.settings.uri import redact
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
