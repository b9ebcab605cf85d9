"""Profiles: one for each user, found by place."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from models_explained import indexes_used
from mongoengine.errors import NotUniqueError, ValidationError

from datalayer.models import Preferences, Profile, User

COLOGNE = [6.9603, 50.9375]
BONN = [7.0982, 50.7374]  # 24 km away
DEUTZ = [6.9748, 50.9370]  # 1 km away


def profile(name: str, **values: Any) -> Profile:
    user = User(email=f"{name}@example.com").save()
    return Profile(user=user, display_name=name, **values).save()


def test_a_user_has_one_profile(ann: User) -> None:
    Profile(user=ann, display_name="Ann").save()
    with pytest.raises(NotUniqueError):
        Profile(user=ann, display_name="Ann again").save()


def test_a_profile_is_found_by_its_user(ann: User, bob: User) -> None:
    saved = Profile(user=ann, display_name="Ann").save()
    assert Profile.of(ann) == saved
    assert Profile.of(bob) is None
    assert indexes_used(Profile.objects(user=ann)) == {"user_1"}


def test_a_profile_goes_with_its_user(ann: User) -> None:
    Profile(user=ann, display_name="Ann").save()
    ann.delete()
    assert Profile.objects.count() == 0


def test_profiles_within_ten_kilometres_come_nearest_first() -> None:
    profile("bonn", location=BONN)
    deutz, cologne = profile("deutz", location=DEUTZ), profile("cologne", location=COLOGNE)
    profile("nowhere")
    assert list(Profile.near(*COLOGNE, kilometres=10)) == [cologne, deutz]
    assert [each.display_name for each in Profile.near(*COLOGNE, kilometres=30)] == [
        "cologne", "deutz", "bonn",
    ]  # fmt: skip


def test_profiles_nearby_are_counted_as_they_are_found() -> None:
    for name, place in (("bonn", BONN), ("deutz", DEUTZ), ("cologne", COLOGNE)):
        profile(name, location=place)
    profile("nowhere")
    for kilometres in (0.5, 10, 30, 50_000):
        found = Profile.near(*COLOGNE, kilometres=kilometres)
        assert found.count() == len(list(found))
    assert Profile.near(*COLOGNE, kilometres=30).filter(display_name="bonn").count() == 1
    assert Profile.near(*COLOGNE, kilometres=30).limit(2).count(with_limit_and_skip=True) == 2
    far = Profile.objects(location__near=COLOGNE, location__min_distance=10_000)
    assert [far.count(), len(list(far))] == [1, 1]


def test_searching_by_place_uses_the_geo_index() -> None:
    profile("deutz", location=DEUTZ)
    assert indexes_used(Profile.near(*COLOGNE, kilometres=10)) == {"location_2dsphere"}


@pytest.mark.parametrize("location", [[181, 0], [0, 91], [50.9, 6.9, 1], "here", [None, 1]])
def test_a_place_that_is_not_on_earth_is_refused(ann: User, location: Any) -> None:
    with pytest.raises(ValidationError):
        Profile(user=ann, display_name="Ann", location=location).save()


def test_a_place_in_geojson_is_checked_too(ann: User) -> None:
    location = {"type": "Point", "coordinates": [200, 0]}
    with pytest.raises(ValidationError, match="degrees"):
        Profile(user=ann, display_name="Ann", location=location).save()


@pytest.mark.parametrize("born", [date(1899, 12, 31), date(2999, 1, 1)])
def test_a_birth_date_is_plausible(ann: User, born: date) -> None:
    with pytest.raises(ValidationError, match="birth date"):
        Profile(user=ann, display_name="Ann", birth_date=born).save()


def test_a_birth_date_comes_back_as_a_date(ann: User) -> None:
    Profile(user=ann, display_name="Ann", birth_date=date(1990, 2, 28)).save()
    assert Profile.of(ann).birth_date == date(1990, 2, 28)


@pytest.mark.parametrize("name", ["", "   ", None, "x" * 81])
def test_a_name_is_required_and_short(ann: User, name: Any) -> None:
    with pytest.raises(ValidationError, match="display_name"):
        Profile(user=ann, display_name=name).save()


def test_a_name_is_tidied(ann: User) -> None:
    assert Profile(user=ann, display_name="  Ann \t Lee ").save().display_name == "Ann Lee"


def test_preferences_have_defaults_of_their_own(ann: User, bob: User) -> None:
    first = Profile(user=ann, display_name="Ann")
    first.preferences.language = "de"
    second = Profile(user=bob, display_name="Bob")
    assert second.preferences == Preferences()
    first.save()
    assert Profile.of(ann).preferences.language == "de"


def test_an_unknown_theme_is_refused(ann: User) -> None:
    preferences = Preferences(theme="pink")
    with pytest.raises(ValidationError, match="preferences"):
        Profile(user=ann, display_name="Ann", preferences=preferences).save()
