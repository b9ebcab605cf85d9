"""How far are the databases from the models, and what might a migration do about it? For a file
that a person reads and completes.

``looking`` asks the servers, ``guesses`` says what was perhaps renamed, and ``draft`` writes.
"""

from __future__ import annotations

from datalayer.migrations.drift.draft import draft
from datalayer.migrations.drift.looking import drift
from datalayer.migrations.drift.values import Drift, UnknownField

__all__ = ["Drift", "UnknownField", "draft", "drift"]
