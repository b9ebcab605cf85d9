"""An offer counted how often it was looked at: a write to business data for each look. Such looks
are events now, in the analytics database; what was counted so far becomes one."""

from __future__ import annotations

from mongoengine.fields import DateTimeField, IntField

from datalayer.documents import Document
from datalayer.migrations import Migration
from datalayer.models import AnalyticsEvent

NAME = "0003_views_become_events"


class CountingOffer(Document):
    """An offer as it was: of the model of today, nothing is known here."""

    views = IntField()
    created_at = DateTimeField()

    meta = {
        "collection": "advertisements",
        "strict": False,
        "timestamps": False,
        "auto_index": False,
    }


def apply(m: Migration) -> None:
    m.each(CountingOffer, move, {"views": {"$gt": 0}})
    m.remove_field("advertisements", "views")


def undo(m: Migration) -> None:
    m.restore_field("advertisements", "views")
    m.each(AnalyticsEvent, AnalyticsEvent.delete, {"properties.moved_by": NAME})


def move(offer: CountingOffer) -> None:
    """The event has the offer's id. So it is the same one, should this be done again."""
    AnalyticsEvent(
        id=offer.pk,
        name="page.viewed.before",
        properties={"route": "advertisement", "times": offer.views, "moved_by": NAME},
        occurred_at=offer.created_at,
    ).save()
