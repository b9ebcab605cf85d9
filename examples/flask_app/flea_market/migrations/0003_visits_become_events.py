"""A user held when and where it had last looked at a page: a write to business data for each page
that was shown. Such visits are events now, in the analytics database."""

from __future__ import annotations

from mongoengine.fields import DictField

from datalayer.documents import Document
from datalayer.migrations import Migration
from datalayer.models import AnalyticsEvent

NAME = "0003_visits_become_events"


class VisitingUser(Document):
    """A user as it was: of the model of today, nothing is known here."""

    last_visit = DictField()

    meta = {
        "collection": "users",
        "strict": False,
        "timestamps": False,
        "auto_index": False,
    }


def apply(m: Migration) -> None:
    m.each(VisitingUser, move, {"last_visit": {"$exists": True}})
    m.remove_field("users", "last_visit")


def undo(m: Migration) -> None:
    m.restore_field("users", "last_visit")
    m.each(AnalyticsEvent, AnalyticsEvent.delete, {"properties.moved_by": NAME})


def move(user: VisitingUser) -> None:
    """The event has the user's id. So it is the same one, should this be done again."""
    AnalyticsEvent(
        id=user.pk,
        name="page.viewed",
        user_id=user.pk,
        properties={"page": user.last_visit["page"], "moved_by": NAME},
        occurred_at=user.last_visit["at"],
    ).save()
