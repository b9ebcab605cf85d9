"""A user held when and where it had last looked at a page: a write to business data for each page
that was shown. Such visits are events now, in the analytics database."""

from __future__ import annotations

from datalayer.migrations import Migration
from datalayer.models import AnalyticsEvent

NAME = "0003_visits_become_events"


def apply(m: Migration) -> None:
    for user in m.database()["users"].find({"last_visit": {"$exists": True}}):
        if not m.dry:
            # It has the user's id, so it is the same one, should this be done again.
            AnalyticsEvent(
                id=user["_id"],
                name="page.viewed",
                user_id=user["_id"],
                properties={"page": user["last_visit"]["page"], "moved_by": NAME},
                occurred_at=user["last_visit"]["at"],
            ).save()
    m.remove_field("users", "last_visit")


def undo(m: Migration) -> None:
    m.restore_field("users", "last_visit")
    m.each(AnalyticsEvent, AnalyticsEvent.delete, {"properties.moved_by": NAME})
