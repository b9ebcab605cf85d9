"""Metrics: numbers over time, in a time-series collection."""

from __future__ import annotations

from datetime import datetime

from datalayer.documents import (
    AnalyticsDocument,
    EmbeddedDocument,
    QuerySet,
    UTCDateTimeField,
    utc_now,
)
from datalayer.fields import EmbeddedDocumentField, FloatField, MapField, StringField
from datalayer.models.analytics.periods import in_period

KEPT_SECONDS = 90 * 24 * 3600


class MetricSeries(EmbeddedDocument):
    """What is measured. Keep the number of different ones small: each is stored apart."""

    name = StringField(required=True, min_length=1, max_length=120)
    labels = MapField(StringField(max_length=200))


class Metric(AnalyticsDocument):
    """One measurement. The server deletes it about 90 days after ``measured_at``.

    A time-series collection has no unique ``_id`` and changes no single document: measurements
    are inserted and read, and one whose insert was repeated counts twice.
    """

    measured_at = UTCDateTimeField(required=True, default=utc_now)
    series = EmbeddedDocumentField(MetricSeries, required=True)
    value = FloatField(required=True)

    meta = {
        "collection": "metrics",
        "timestamps": False,
        "timeseries": {
            "timeField": "measured_at",
            "metaField": "series",
            "granularity": "seconds",
            "expireAfterSeconds": KEPT_SECONDS,
        },
        "indexes": [("series.name", "-measured_at")],
    }

    @classmethod
    def record(cls, name: str, value: float, **labels: str) -> Metric:
        """Store that ``name`` is ``value`` now."""
        metric = cls(series=MetricSeries(name=name, labels=labels), value=value)
        metric.save(force_insert=True)
        return metric

    @classmethod
    def named(
        cls, name: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[Metric]:
        """The measurements of ``name``, from ``since`` on and before ``until``, newest first."""
        return in_period(cls, "measured_at", since, until, series__name=name)
