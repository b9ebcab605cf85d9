"""The engine behind datalayer's documents: reads, builds, validates and writes MongoEngine
documents with code that is compiled once per class."""

from __future__ import annotations

from datalayer.documents.engine.asking import asks_plainly
from datalayer.documents.engine.compiled import core, is_compiled
from datalayer.documents.engine.explaining import Explanation, explain, explain_all
from datalayer.documents.engine.internals import stock
from datalayer.documents.engine.methods import FastDocument, FastEmbeddedDocument
from datalayer.documents.engine.programs import reason_against
from datalayer.documents.engine.queries import FastCachingQueries, FastPassingQueries, shown
from datalayer.documents.engine.saving import (
    mark_saved,
    mongoengine_errors,
    own_save_update,
    written,
    written_field,
)
from datalayer.documents.engine.switch import accelerate, invalidate

__all__ = [
    "Explanation",
    "FastCachingQueries",
    "FastDocument",
    "FastEmbeddedDocument",
    "FastPassingQueries",
    "accelerate",
    "asks_plainly",
    "core",
    "explain",
    "explain_all",
    "invalidate",
    "is_compiled",
    "mark_saved",
    "mongoengine_errors",
    "own_save_update",
    "reason_against",
    "shown",
    "stock",
    "written",
    "written_field",
]
