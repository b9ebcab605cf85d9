"""Base classes for documents, which stay ordinary MongoEngine documents. Where is what?

``base``: the classes, and which alias they go to; ``save``: how one is written; ``operations``:
what else it does to itself in the database; ``collection`` and ``model_collection``: through which
collection, with which errors. ``from_input``, ``extended_json``: data from outside, and shown
there. ``timestamps``, ``lifecycle``, ``runtime`` (models without a class statement),
``exceptions``: what their names say. Folders: ``fields`` (what a value means), ``queries``
(keywords as MongoDB's filters and updates), ``querysets``, ``related`` (files, numbers,
references), ``partial`` (``only()`` and stale documents), ``versions``, ``rollback``, and the
``engine``, which reads, validates and compares.
"""

from __future__ import annotations

from mongoengine.errors import (
    BulkWriteError,
    DoesNotExist,
    FieldDoesNotExist,
    InvalidQueryError,
    MultipleObjectsReturned,
    NotUniqueError,
    OperationError,
    SaveConditionError,
    ValidationError,
)
from mongoengine.queryset import Q, queryset_manager

from datalayer.documents.base import (
    AnalyticsDocument,
    BusinessDocument,
    Document,
    DynamicAnalyticsDocument,
    DynamicBusinessDocument,
    DynamicDocument,
    DynamicEmbeddedDocument,
    EmbeddedDocument,
)
from datalayer.documents.engine import accelerate, invalidate
from datalayer.documents.extended_json import without_secrets
from datalayer.documents.fields import (
    CurrencyField,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    UTCDateTimeField,
)
from datalayer.documents.fields.money import exact_amount, minor_units
from datalayer.documents.lifecycle import Lifecycle, TransitionError
from datalayer.documents.querysets.queryset import QuerySet
from datalayer.documents.runtime import define_model
from datalayer.documents.times import utc_now
from datalayer.failures.redaction import traceback_without_contents
from datalayer.monitoring.tracing import log_fields
from datalayer.settings import redact

__all__ = [
    "AnalyticsDocument",
    "BulkWriteError",
    "BusinessDocument",
    "CurrencyField",
    "Document",
    "DoesNotExist",
    "DynamicAnalyticsDocument",
    "DynamicBusinessDocument",
    "DynamicDocument",
    "DynamicEmbeddedDocument",
    "EmbeddedDocument",
    "FieldDoesNotExist",
    "InvalidQueryError",
    "Lifecycle",
    "MoneyField",
    "MultipleObjectsReturned",
    "NormalizedEmailField",
    "NotUniqueError",
    "OperationError",
    "Q",
    "QuerySet",
    "RawDictField",
    "SaveConditionError",
    "SecretField",
    "TransitionError",
    "UTCDateTimeField",
    "ValidationError",
    "accelerate",
    "define_model",
    "exact_amount",
    "invalidate",
    "log_fields",
    "minor_units",
    "queryset_manager",
    "redact",
    "traceback_without_contents",
    "utc_now",
    "without_secrets",
]
