"""Log entries: lines of the application's log that delete themselves."""

from __future__ import annotations

from datetime import datetime

from datalayer.documents import AnalyticsDocument, QuerySet, UTCDateTimeField, utc_now
from datalayer.fields import DictField, StringField
from datalayer.models.analytics.periods import in_period

KEPT_SECONDS = 30 * 24 * 3600


class LogEntry(AnalyticsDocument):
    """One line of a log. The server deletes it about 30 days after ``logged_at``."""

    logged_at = UTCDateTimeField(required=True, default=utc_now)
    level = StringField(required=True, max_length=20)
    logger = StringField(required=True, max_length=200)
    message = StringField(required=True, max_length=16_384)
    alias = StringField(max_length=100)
    context = DictField()
    traceback = StringField(max_length=65_536)

    meta = {
        "collection": "log_entries",
        "timestamps": False,  # an entry is never changed, and logged_at says when it was made
        "indexes": [
            {"fields": ["logged_at"], "expireAfterSeconds": KEPT_SECONDS},
            ("level", "-logged_at"),
            ("logger", "-logged_at"),
        ],
    }

    @classmethod
    def recent(
        cls, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[LogEntry]:
        """All entries from ``since`` on and before ``until``, newest first."""
        return in_period(cls, "logged_at", since, until)

    @classmethod
    def with_level(
        cls, level: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[LogEntry]:
        """The entries of one level (``"ERROR"``), newest first."""
        return in_period(cls, "logged_at", since, until, level=level)

    @classmethod
    def from_logger(
        cls, logger: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[LogEntry]:
        """The entries of one logger, newest first."""
        return in_period(cls, "logged_at", since, until, logger=logger)
