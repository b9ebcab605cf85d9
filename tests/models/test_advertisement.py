"""Advertisements: a life cycle, a price, listings and search."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from models_explained import indexes_used
from mongoengine.errors import ValidationError

from datalayer.documents import TransitionError, utc_now
from datalayer.models import Advertisement, User


def advertisement(owner: User, **values: Any) -> Advertisement:
    given = {"title": "Bicycle", "body": "Red, fast", "category": "sport", **values}
    return Advertisement(owner=owner, **given).save()


def test_it_begins_as_a_draft_without_a_price(ann: User) -> None:
    offer = advertisement(ann)
    assert (offer.status, offer.price, offer.published_at) == ("draft", None, None)


def test_it_lives_from_publishing_to_removal(ann: User) -> None:
    offer = advertisement(ann)
    offer.publish()
    first = offer.published_at
    offer.pause()
    offer.publish()
    offer.expire()
    offer.remove()
    assert (offer.status, offer.published_at) == ("removed", first)
    assert Advertisement.objects.get().status == "removed"


@pytest.mark.parametrize(
    ("status", "move"),
    [
        ("draft", Advertisement.pause),
        ("draft", Advertisement.expire),
        ("active", Advertisement.publish),
        ("paused", Advertisement.pause),
        ("expired", Advertisement.pause),
        ("removed", Advertisement.publish),
        ("removed", Advertisement.remove),
    ],
)
def test_illegal_moves_are_refused(ann: User, status: str, move: Any) -> None:
    offer = advertisement(ann, status=status)
    with pytest.raises(TransitionError):
        move(offer)
    assert Advertisement.objects.get().status == status


def test_a_price_has_the_places_of_its_currency(ann: User) -> None:
    advertisement(ann, price="12.5", currency="EUR")
    assert str(Advertisement.objects.get().price) == "12.50"


@pytest.mark.parametrize(
    "values",
    [
        {"price": 12.5, "currency": "EUR"},
        {"price": "12.505", "currency": "EUR"},
        {"price": "-1", "currency": "EUR"},
        {"price": "1.5", "currency": "JPY"},
        {"price": "1", "currency": "XXQ"},
        {"price": "1"},
        {"currency": "EUR"},
        {"title": ""},
        {"title": "x" * 141},
        {"category": None},
        {"category": ""},
        {"body": ""},
        {"status": "sold"},
    ],
)
def test_bad_values_are_refused(ann: User, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        advertisement(ann, **values)


def test_a_price_can_be_searched_for(ann: User) -> None:
    advertisement(ann, price=Decimal("9.99"), currency="EUR")
    assert Advertisement.objects(price__lt=10).count() == 1
    assert Advertisement.objects(price__lt="9.99").count() == 0


def test_a_category_lists_what_is_active_newest_first(ann: User) -> None:
    first, second = (advertisement(ann, status="active") for _ in range(2))
    advertisement(ann)
    advertisement(ann, status="active", category="music")
    assert list(Advertisement.in_category("sport")) == [second, first]


def test_listing_a_category_uses_its_index(ann: User) -> None:
    advertisement(ann)
    used = indexes_used(Advertisement.in_category("sport"))
    assert used == {"category_1_status_1_created_at_-1"}


def test_an_owner_sees_all_of_his_own(ann: User, bob: User) -> None:
    mine = advertisement(ann)
    advertisement(bob)
    assert list(Advertisement.of(ann)) == [mine]
    assert indexes_used(Advertisement.of(ann)) == {"owner_1_created_at_-1"}


def test_search_finds_words_and_ranks_titles_higher(ann: User) -> None:
    in_body = advertisement(ann, status="active", title="Helmet", body="for the bicycle")
    in_title = advertisement(ann, status="active", title="Bicycle", body="red")
    advertisement(ann, title="Bicycle draft")
    assert list(Advertisement.search("bicycles")) == [in_title, in_body]


def test_search_uses_the_text_index(ann: User) -> None:
    advertisement(ann)
    assert indexes_used(Advertisement.search("bicycle").order_by()) == {"search"}


def test_what_is_due_expires(ann: User) -> None:
    now = utc_now()
    due = advertisement(ann, status="active", expires_at=now - timedelta(seconds=1))
    advertisement(ann, status="active", expires_at=now + timedelta(hours=1))
    advertisement(ann, status="active")
    assert list(Advertisement.due()) == [due]
    assert Advertisement.expire_due() == 1
    assert Advertisement.expire_due() == 0
    assert [each.pk for each in Advertisement.objects(status="expired")] == [due.pk]


def test_finding_what_is_due_uses_its_index(ann: User) -> None:
    advertisement(ann)
    assert indexes_used(Advertisement.due()) == {"status_1_expires_at_1"}


def test_it_goes_with_its_owner(ann: User) -> None:
    advertisement(ann)
    ann.delete()
    assert Advertisement.objects.count() == 0
