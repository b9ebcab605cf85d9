"""The engine behind datalayer's documents: reads, builds, validates and writes MongoEngine
documents with code that is compiled once per class."""

from __future__ import annotations

from datalayer.documents.engine.asking import asks_plainly
from datalayer.documents.engine.compiled import core, is_compiled
from datalayer.documents.engine.containers import tracked
from datalayer.documents.engine.data import Converters, LazyData, PartialData
from datalayer.documents.engine.explaining import Explanation, explain, explain_all
from datalayer.documents.engine.first_reads import default_of
from datalayer.documents.engine.internals import slots, stock
from datalayer.documents.engine.methods import FastDocument, FastEmbeddedDocument, let_fetch
from datalayer.documents.engine.programs import reason_against
from datalayer.documents.engine.queries import (
    FastCachingQueries,
    FastPassingQueries,
    plain_next,
    shown,
)
from datalayer.documents.engine.saving import (
    mark_saved,
    mongoengine_errors,
    own_save_update,
    written,
    written_field,
)
from datalayer.documents.engine.sharing import done, first_read
from datalayer.documents.engine.switch import accelerate, invalidate

__all__ = [
    "Converters",
    "Explanation",
    "FastCachingQueries",
    "FastDocument",
    "FastEmbeddedDocument",
    "FastPassingQueries",
    "LazyData",
    "PartialData",
    "accelerate",
    "asks_plainly",
    "core",
    "default_of",
    "done",
    "explain",
    "explain_all",
    "first_read",
    "invalidate",
    "is_compiled",
    "let_fetch",
    "mark_saved",
    "mongoengine_errors",
    "own_save_update",
    "plain_next",
    "reason_against",
    "shown",
    "slots",
    "stock",
    "tracked",
    "written",
    "written_field",
]
