"""An offer counted how often it was looked at: a write to business data for each look. Such looks
are events now, in the analytics database; what was counted so far becomes one."""

from __future__ import annotations

from datalayer.migrations import Migration
from datalayer.models import AnalyticsEvent

NAME = "0003_views_become_events"


def apply(m: Migration) -> None:
    for offer in m.database()["advertisements"].find({"views": {"$gt": 0}}):
        if not m.dry:
            # It has the offer's id, so it is the same one, should this be done again.
            AnalyticsEvent(
                id=offer["_id"],
                name="page.viewed.before",
                properties={
                    "route": "advertisement",
                    "times": offer["views"],
                    "moved_by": NAME,
                },
                occurred_at=offer["created_at"],
            ).save()
    m.remove_field("advertisements", "views")


def undo(m: Migration) -> None:
    m.restore_field("advertisements", "views")
    m.each(AnalyticsEvent, AnalyticsEvent.delete, {"properties.moved_by": NAME})
