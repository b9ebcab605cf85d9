"""Documents as they were before the migrations get the shape of the models, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from bson import Decimal128, ObjectId

from datalayer import migrations
from datalayer.models import Advertisement, AnalyticsEvent, Profile, User

ADA, BRUNO, LAMP, GIVEN_AWAY = (ObjectId() for _ in range(4))
THEN = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
OFFER = {"owner": ADA, "body": "Green.", "category": "light", "status": "active"}
LAST_VISIT = {"page": "/people", "at": THEN}


def collections(databases: ModuleType) -> Any:
    return databases.database.client[databases.database.name]


def stored(databases: ModuleType) -> dict[str, list[Any]]:
    """All of what the migrations change, in both databases."""
    business = collections(databases)
    events = databases.database1.client[databases.database1.name]["analytics_events"]
    found = {name: business[name] for name in ("users", "profiles", "advertisements")}
    return {
        name: list(each.find().sort("_id")) for name, each in {**found, "events": events}.items()
    }


@pytest.fixture
def old(datalayer_db: ModuleType) -> ModuleType:
    """The databases of a flea market that was opened before there were migrations."""
    business = collections(datalayer_db)
    business.users.insert_many(
        [
            {"_id": ADA, "email": "ada@example.org", "status": "active", "last_visit": LAST_VISIT},
            {"_id": BRUNO, "email": "bruno@example.org", "status": "active"},
        ]
    )
    business.profiles.insert_one({"user": ADA, "nickname": "Ada"})
    business.advertisements.insert_many(
        [
            {"_id": LAMP, **OFFER, "title": "Lamp", "price": Decimal128("12.50")},
            {"_id": GIVEN_AWAY, **OFFER, "title": "Given away"},
        ]
    )
    return datalayer_db


def test_old_documents_fit_the_models_afterwards(old: ModuleType) -> None:
    assert [each.number for each in migrations.apply()] == [1, 2, 3]
    assert Profile.objects.get().display_name == "Ada"
    lamp, given_away = Advertisement.objects.order_by("id")
    assert (str(lamp.price), lamp.currency) == ("12.50", "EUR")
    assert (given_away.price, given_away.currency) == (None, None)
    for document in (*User.objects, *Profile.objects, lamp, given_away):
        document.validate()


def test_a_visit_has_left_the_business_database(old: ModuleType) -> None:
    migrations.apply()
    visit = AnalyticsEvent.objects.get()
    assert (visit.user_id, visit.properties["page"], visit.occurred_at) == (ADA, "/people", THEN)
    assert collections(old).users.count_documents({"last_visit": {"$exists": True}}) == 0


def test_the_way_back_leaves_everything_as_it_was(old: ModuleType) -> None:
    before = stored(old)
    migrations.apply()
    assert stored(old) != before
    migrations.undo(to=0)
    assert stored(old) == before


def test_there_and_back_and_there_again(old: ModuleType) -> None:
    migrations.apply()
    Advertisement.objects(title="Lamp").update(currency="GBP")
    after = stored(old)
    migrations.undo(to=0)
    migrations.apply()
    now = stored(old)
    assert now["advertisements"] == after["advertisements"]
    assert [each["_id"] for each in now["events"]] == [each["_id"] for each in after["events"]]


def test_the_plan_says_how_many_documents_each_touches(old: ModuleType) -> None:
    before = stored(old)
    touched = {each.number: [step.matched for step in each.steps] for each in migrations.plan()}
    assert touched == {1: [1], 2: [0, 1], 3: [1]}
    assert stored(old) == before


def test_a_new_flea_market_has_nothing_to_change(datalayer_migrated_db: ModuleType) -> None:
    assert migrations.check().is_current
