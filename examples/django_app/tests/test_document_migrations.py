"""Documents as they were before the migrations get the shape of the models, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bson import Decimal128, ObjectId
from neighbours.models import Advertisement, AnalyticsEvent, User

from datalayer import db, migrations

from .cases import NeighboursTestCase

OFFER, DRAFT = ObjectId(), ObjectId()
MADE = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
OLD = {
    "title": "Bicycle",
    "body": "Red.",
    "kind": "bicycles",
    "price": Decimal128("180.00"),
    "currency": "EUR",
    "created_at": MADE,
}


def stored() -> list[list[Any]]:
    """All of what the migrations change, in both databases."""
    offers = db.database.client[db.database.name]["advertisements"]
    events = db.database1.client[db.database1.name]["analytics_events"]
    return [list(each.find().sort("_id")) for each in (offers, events)]


class DocumentMigrationsTest(NeighboursTestCase):
    """In the databases of a market place that was opened before there were migrations."""

    def setUp(self) -> None:
        super().setUp()
        owner = User(email="ada@example.org").save().pk
        db.database.client[db.database.name]["advertisements"].insert_many(
            [
                {"_id": OFFER, **OLD, "owner": owner, "status": "active", "views": 7},
                {"_id": DRAFT, **OLD, "owner": owner, "status": "draft", "views": 0},
            ]
        )

    def test_old_offers_fit_the_models_afterwards(self) -> None:
        assert [each.number for each in migrations.apply()] == [1, 2, 3]
        offer, draft = (Advertisement.objects.get(id=key) for key in (OFFER, DRAFT))
        assert (offer.category, offer.published_at) == ("bicycles", MADE)
        assert (draft.category, draft.published_at) == ("bicycles", None)
        for each in (offer, draft):
            each.validate()

    def test_what_was_counted_has_left_the_business_database(self) -> None:
        migrations.apply()
        assert AnalyticsEvent.objects.get().properties["times"] == 7
        offers, _ = stored()
        assert [each for each in offers if "views" in each] == []

    def test_the_way_back_leaves_everything_as_it_was(self) -> None:
        before = stored()
        migrations.apply()
        assert stored() != before
        migrations.undo(to=0)
        assert stored() == before

    def test_the_plan_says_how_many_documents_each_touches(self) -> None:
        before = stored()
        touched = {
            each.number: [step.matched for step in each.steps] for each in migrations.plan()
        }
        assert touched == {1: [2], 2: [0, 1], 3: [2]}
        assert stored() == before
