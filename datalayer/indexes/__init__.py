"""Collections and indexes as the models declare them: built at connect or before the first write
of a model seen later, compared with what the server has, and brought in line on request.

``declared`` reads the models, and ``validators`` which validator they declare; ``existing`` asks
which collections there are, and notices drops; ``comparing`` compares; ``building`` creates what
is missing, and ``progress`` tells how far it is; ``syncing`` also changes and drops; ``hiding``
takes an index out of sight, and ``usage`` tells which hidden ones can go; ``failures`` says why an
index could not be built, and ``advice`` what to do about it; ``mock`` builds on mongomock.
"""

from __future__ import annotations

from datalayer.indexes.building import build, ensure, ensure_all, forget
from datalayer.indexes.comparing import (
    ChangedIndex,
    ChangedOption,
    CollectionDiff,
    Index,
    compare,
)
from datalayer.indexes.declared import (
    CollectionPlan,
    alias_of,
    models_on,
    plans_on,
    unconfigured,
)
from datalayer.indexes.existing import notice_drops
from datalayer.indexes.hiding import hidden_names, hide, unhide
from datalayer.indexes.progress import BuildProgress
from datalayer.indexes.syncing import Action, diff, difference, sync
from datalayer.indexes.usage import HiddenIndex, drop, hidden
from datalayer.indexes.validators import collection_schema, take_schemas_from

__all__ = [
    "Action",
    "BuildProgress",
    "ChangedIndex",
    "ChangedOption",
    "CollectionDiff",
    "CollectionPlan",
    "HiddenIndex",
    "Index",
    "alias_of",
    "build",
    "collection_schema",
    "compare",
    "diff",
    "difference",
    "drop",
    "ensure",
    "ensure_all",
    "forget",
    "hidden",
    "hidden_names",
    "hide",
    "models_on",
    "notice_drops",
    "plans_on",
    "sync",
    "take_schemas_from",
    "unconfigured",
    "unhide",
]
