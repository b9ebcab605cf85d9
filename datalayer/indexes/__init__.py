"""Collections and indexes as the models declare them: built at connect or before the first write
of a model seen later, compared with what the server has, and brought in line on request.

``declared`` reads the models, and ``validators`` which validator they declare; ``existing`` asks
which collections there are, and notices drops; ``comparing`` compares; ``building`` creates what
is missing, ``syncing`` also changes and drops; ``failures`` says why an index could not be built,
``advice`` what to do about it, and ``inheritance`` where classes of one collection obstruct each
other; ``mock`` builds on mongomock.
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
from datalayer.indexes.syncing import Action, diff, difference, sync
from datalayer.indexes.validators import collection_schema, take_schemas_from

__all__ = [
    "Action",
    "ChangedIndex",
    "ChangedOption",
    "CollectionDiff",
    "CollectionPlan",
    "Index",
    "alias_of",
    "build",
    "collection_schema",
    "compare",
    "diff",
    "difference",
    "ensure",
    "ensure_all",
    "forget",
    "models_on",
    "notice_drops",
    "plans_on",
    "sync",
    "take_schemas_from",
    "unconfigured",
]
