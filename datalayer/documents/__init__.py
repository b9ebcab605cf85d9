"""Base classes for documents. They stay ordinary MongoEngine documents, with the connection,
the indexes and the care for secrets that datalayer adds."""

from __future__ import annotations

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
from datalayer.documents.fields.fields import (
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
from datalayer.settings import redact

__all__ = [
    "AnalyticsDocument",
    "BusinessDocument",
    "CurrencyField",
    "Document",
    "DynamicAnalyticsDocument",
    "DynamicBusinessDocument",
    "DynamicDocument",
    "DynamicEmbeddedDocument",
    "EmbeddedDocument",
    "Lifecycle",
    "MoneyField",
    "NormalizedEmailField",
    "QuerySet",
    "RawDictField",
    "SecretField",
    "TransitionError",
    "UTCDateTimeField",
    "accelerate",
    "define_model",
    "exact_amount",
    "invalidate",
    "minor_units",
    "redact",
    "traceback_without_contents",
    "utc_now",
    "without_secrets",
]
