"""Analytics events: names, properties within limits, queries by name and by user."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from models_explained import indexes_used
from mongoengine.errors import ValidationError

from datalayer.documents import utc_now
from datalayer.models import AnalyticsEvent


def test_an_event_is_stored_in_the_analytics_database() -> None:
    AnalyticsEvent(name="page.viewed", properties={"path": "/"}).save()
    assert AnalyticsEvent._get_db().name.startswith("test_database1")
    assert AnalyticsEvent.objects.get().properties == {"path": "/"}


@pytest.mark.parametrize("name", [None, "", "page viewed", "x" * 121, {"$ne": 1}])
def test_a_name_is_required_and_has_no_spaces(name: Any) -> None:
    with pytest.raises(ValidationError, match="name"):
        AnalyticsEvent(name=name).save()


@pytest.mark.parametrize(
    "properties",
    [
        {str(number): 1 for number in range(101)},
        {"text": "x" * 17_000},
        {"$where": 1},
        {1: 1},
        {"a": object()},
        [1],
    ],
)
def test_properties_have_limits(properties: Any) -> None:
    with pytest.raises(ValidationError, match="properties"):
        AnalyticsEvent(name="a", properties=properties).save()


def test_events_are_found_by_name_and_period() -> None:
    now = utc_now()
    old = AnalyticsEvent(name="a", occurred_at=now - timedelta(days=2)).save()
    new = AnalyticsEvent(name="a", occurred_at=now).save()
    AnalyticsEvent(name="b").save()
    assert list(AnalyticsEvent.named("a")) == [new, old]
    assert list(AnalyticsEvent.named("a", since=now - timedelta(days=1))) == [new]
    assert list(AnalyticsEvent.named("a", until=now)) == [old]


def test_events_are_found_by_user() -> None:
    user = ObjectId()
    mine = AnalyticsEvent(name="a", user_id=user).save()
    AnalyticsEvent(name="a", user_id=ObjectId()).save()
    assert list(AnalyticsEvent.of_user(user, since=mine.occurred_at)) == [mine]


def test_both_queries_use_their_indexes() -> None:
    AnalyticsEvent(name="a", user_id=ObjectId()).save()
    now = utc_now()
    assert indexes_used(AnalyticsEvent.named("a", since=now)) == {"name_1_occurred_at_-1"}
    assert indexes_used(AnalyticsEvent.of_user(ObjectId(), until=now)) == {
        "user_id_1_occurred_at_-1"
    }
