"""Ready models: business data on ``default``, analytics on ``database1``.

``business`` and ``analytics`` have a module for each model; ``insert_once`` is how they insert
what may be there already.

An application that has models of its own uses only the base classes, from
``datalayer.documents``: nothing is built for models that were not imported.
"""

from __future__ import annotations

from datalayer.documents import (
    AnalyticsDocument,
    BusinessDocument,
    Document,
    DynamicAnalyticsDocument,
    DynamicBusinessDocument,
    DynamicDocument,
    DynamicEmbeddedDocument,
    EmbeddedDocument,
)
from datalayer.models.analytics import (
    AnalyticsEvent,
    HistoryRecord,
    LogEntry,
    Metric,
    MetricSeries,
    MongoLogHandler,
)
from datalayer.models.business import (
    Advertisement,
    ChatMessage,
    Conversation,
    Preferences,
    Profile,
    ReadReceipt,
    Transaction,
    User,
)

__all__ = [
    "Advertisement",
    "AnalyticsDocument",
    "AnalyticsEvent",
    "BusinessDocument",
    "ChatMessage",
    "Conversation",
    "Document",
    "DynamicAnalyticsDocument",
    "DynamicBusinessDocument",
    "DynamicDocument",
    "DynamicEmbeddedDocument",
    "EmbeddedDocument",
    "HistoryRecord",
    "LogEntry",
    "Metric",
    "MetricSeries",
    "MongoLogHandler",
    "Preferences",
    "Profile",
    "ReadReceipt",
    "Transaction",
    "User",
]
