"""The engine behind datalayer's documents: reads, builds, validates and writes MongoEngine
documents with code that is compiled once per class."""

from __future__ import annotations

from datalayer.documents.engine.accelerate import accelerate, invalidate
from datalayer.documents.engine.compile.c_core import core, is_compiled
from datalayer.documents.engine.compile.encode import EncodedDocument
from datalayer.documents.engine.compile.lazy_reads import default_of
from datalayer.documents.engine.compiling import reason_against
from datalayer.documents.engine.explain import Explanation, explain, explain_all
from datalayer.documents.engine.mixins import FastDocument, FastEmbeddedDocument, let_fetch
from datalayer.documents.engine.mongoengine_internals import slots, stock
from datalayer.documents.engine.queries.queryset import (
    FastCachingQueries,
    FastPassingQueries,
    first_two,
    only_one,
)
from datalayer.documents.engine.queries.queryset_cursor import asks_plainly
from datalayer.documents.engine.queries.reading import plain_next, shown
from datalayer.documents.engine.save import (
    encoded,
    mark_saved,
    mongoengine_error,
    own_save_create,
    own_save_update,
    written,
    written_field,
    written_key,
)
from datalayer.documents.engine.values.containers import tracked
from datalayer.documents.engine.values.lazy_data import Converters, LazyData, PartialData
from datalayer.documents.engine.values.sharing import done, first_read, surround_first_reads

__all__ = [
    "Converters",
    "EncodedDocument",
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
    "encoded",
    "explain",
    "explain_all",
    "first_read",
    "first_two",
    "invalidate",
    "is_compiled",
    "let_fetch",
    "mark_saved",
    "mongoengine_error",
    "only_one",
    "own_save_create",
    "own_save_update",
    "plain_next",
    "reason_against",
    "shown",
    "slots",
    "stock",
    "surround_first_reads",
    "tracked",
    "written",
    "written_field",
    "written_key",
]
