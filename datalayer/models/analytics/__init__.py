"""Analytics, logs, metrics and history, on the alias ``database1``."""

from __future__ import annotations

from datalayer.models.analytics.analytics_event import AnalyticsEvent
from datalayer.models.analytics.history_record import HistoryRecord
from datalayer.models.analytics.log_entry import LogEntry
from datalayer.models.analytics.log_handler import MongoLogHandler
from datalayer.models.analytics.metric import Metric, MetricSeries

__all__ = [
    "AnalyticsEvent",
    "HistoryRecord",
    "LogEntry",
    "Metric",
    "MetricSeries",
    "MongoLogHandler",
]
