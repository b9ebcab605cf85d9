"""People: one's own profile, and who is nearby."""

from __future__ import annotations

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.models import Profile, User
from flea_market.accounts import signed_in
from flea_market.web import done, given, number

blueprint = Blueprint("people", __name__)


@blueprint.get("/people")
@signed_in
def nearby(user: User) -> ResponseReturnValue:
    """Within some kilometres of a place: the one asked for, or one's own."""
    mine = Profile.of(user)
    place = mine.location["coordinates"] if mine is not None and mine.location else (None, None)
    found: list[Profile] = []
    if place[0] is not None or "longitude" in request.args:
        place = (number("longitude", place[0]), number("latitude", place[1]))
        found = list(Profile.near(*place, kilometres=number("kilometres", 10)).limit(50))
    shown = [{"display_name": each.display_name, "about": each.about or ""} for each in found]
    if request.accept_mimetypes.best == "application/json":
        return {"people": shown}
    return render_template("people.html", people=shown, place=place)


@blueprint.get("/profile")
@signed_in
def edit(user: User) -> ResponseReturnValue:
    return render_template("profile.html", profile=Profile.of(user))


@blueprint.post("/profile")
@signed_in
def save(user: User) -> ResponseReturnValue:
    profile = Profile.of(user)
    profile.update_from_input(given(), allow=["display_name", "about"])
    if request.form.get("longitude"):
        profile.location = [number("longitude"), number("latitude")]
    profile.save()
    return done(url_for("people.nearby"), id=str(profile.pk))
