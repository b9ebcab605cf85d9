"""Analytics events: what happened in the application, to whom and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import BSON
from bson.errors import BSONError
from mongoengine.errors import ValidationError

from datalayer.documents import AnalyticsDocument, QuerySet, UTCDateTimeField, utc_now
from datalayer.fields import DictField, ObjectIdField, StringField
from datalayer.models.analytics.periods import in_period

MOST_PROPERTIES = 100
LARGEST_PROPERTIES_BYTES = 16 * 1024


def _check_properties(properties: Mapping[str, Any]) -> None:
    if len(properties) > MOST_PROPERTIES:
        raise ValidationError(f"an event has at most {MOST_PROPERTIES} properties")
    try:
        size = len(BSON.encode(properties))
    except (BSONError, OverflowError, TypeError, ValueError) as exc:
        raise ValidationError("a property holds something that BSON can't") from exc
    if size > LARGEST_PROPERTIES_BYTES:
        raise ValidationError(
            f"the properties of an event take at most {LARGEST_PROPERTIES_BYTES} bytes of BSON"
        )


class AnalyticsEvent(AnalyticsDocument):
    """Something that happened, such as ``page.viewed``."""

    name = StringField(required=True, max_length=120, regex=r"^\S+$")
    user_id = ObjectIdField()
    session_id = StringField(max_length=128)
    properties = DictField(validation=_check_properties)
    occurred_at = UTCDateTimeField(required=True, default=utc_now)

    meta = {
        "collection": "analytics_events",
        "indexes": [("name", "-occurred_at"), ("user_id", "-occurred_at")],
    }

    @classmethod
    def named(
        cls, name: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[AnalyticsEvent]:
        """The events called ``name``, from ``since`` on and before ``until``, newest first."""
        return in_period(cls, "occurred_at", since, until, name=name)

    @classmethod
    def of_user(
        cls, user_id: Any, *, since: datetime | None = None, until: datetime | None = None
    ) -> QuerySet[AnalyticsEvent]:
        """What the user with this id did, newest first."""
        return in_period(cls, "occurred_at", since, until, user_id=user_id)
