"""The schemas that models declare, against what the databases hold.

``checking`` has the server count the documents that break a model's schema: ``rules`` takes it
apart, ``counting`` asks, ``together`` puts rules together again. ``dangling`` finds references
that lead to nothing (``reference_fields`` says where they are), and ``validators`` compares the
collections' own validators with what models declare, and sets them; ``showing`` shows what models
say. ``targets`` says which collections are looked at, and ``paths`` how a pipeline gets at
embedded values.
"""

from __future__ import annotations

from datalayer.schema.checking import CheckProgress, Finding, check
from datalayer.schema.dangling import references
from datalayer.schema.showing import Shown, show
from datalayer.schema.validators import Applied, ValidatorDiff, apply, diff

__all__ = [
    "Applied",
    "CheckProgress",
    "Finding",
    "Shown",
    "ValidatorDiff",
    "apply",
    "check",
    "diff",
    "references",
    "show",
]
