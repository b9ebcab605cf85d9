"""People: one's own profile, and who is nearby."""

from __future__ import annotations

from collections.abc import Iterable

from bson import ObjectId
from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.models import Profile, User
from flea_market.accounts import signed_in
from flea_market.forms import again, errors_of, number, place, taking
from flea_market.web import done, page_of

blueprint = Blueprint("people", __name__)


@blueprint.get("/people")
@signed_in
def nearby(user: User) -> ResponseReturnValue:
    """Within some kilometres of a place: the one asked for, or one's own."""
    asked: dict[str, float | None] = {}
    errors = errors_of(lambda: asked.update(_asked()))
    if errors:
        return again("people.html", errors, page=None)
    if asked["longitude"] is None:
        asked |= _coordinates(Profile.objects.get_or_404(user=user))
    page = None
    within = [each for each in asked.values() if each is not None]
    if len(within) == len(asked):
        page = page_of(Profile.near(*within).filter(user__ne=user.pk).no_dereference())
    if request.accept_mimetypes.best == "application/json":
        people = page.items if page else []
        return {
            "people": [
                {"display_name": each.display_name, "about": each.about or ""} for each in people
            ]
        }
    return render_template("people.html", values=asked, page=page)


@blueprint.get("/profile")
@signed_in
def edit(user: User) -> ResponseReturnValue:
    profile = Profile.objects.get_or_404(user=user)
    shown = {"display_name": profile.display_name, "about": profile.about, **_coordinates(profile)}
    return render_template("profile.html", values=shown)


@blueprint.post("/profile")
@signed_in
def save(user: User) -> ResponseReturnValue:
    profile = Profile.objects.get_or_404(user=user)
    errors = errors_of(
        *taking(profile, "display_name", "about"),
        lambda: setattr(profile, "location", place()),
        profile.validate,
    )
    if errors:
        return again("profile.html", errors)
    profile.save()
    return done(url_for("people.edit"), "Your profile is saved.", id=str(profile.pk))


def names_of(users: Iterable[ObjectId]) -> dict[ObjectId, str]:
    """The display names of users, by id, in one query however many there are."""
    profiles = Profile.objects(user__in=set(users)).no_dereference()
    return {profile.user.id: profile.display_name for profile in profiles}


def _asked() -> dict[str, float | None]:
    longitude, latitude = place() or (None, None)
    kilometres = number("kilometres", 0.1, 1000)
    return {"longitude": longitude, "latitude": latitude, "kilometres": kilometres or 10}


def _coordinates(profile: Profile) -> dict[str, float | None]:
    location = profile.location
    point = location["coordinates"] if isinstance(location, dict) else location
    longitude, latitude = point or (None, None)
    return {"longitude": longitude, "latitude": latitude}
