"""Offers: what people advertise."""

from __future__ import annotations

from datetime import timedelta

from bson import ObjectId
from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.documents import utc_now
from datalayer.models import Advertisement, User
from flea_market.accounts import signed_in
from flea_market.payments import new_key
from flea_market.web import done, given

blueprint = Blueprint("offers", __name__)

_SHOWN = timedelta(days=30)


@blueprint.get("/")
def home() -> str:
    """The newest offers, or those with some words."""
    words = request.args.get("words", "").strip()
    found = (
        Advertisement.search(words)
        if words
        else Advertisement.objects(status="active").order_by("-created_at")
    )
    return render_template("home.html", offers=found.limit(50), words=words)


@blueprint.get("/offers/new")
@signed_in
def new(user: User) -> ResponseReturnValue:
    return render_template("new_offer.html")


@blueprint.post("/offers")
@signed_in
def publish(user: User) -> ResponseReturnValue:
    fields = ["title", "body", "category", "price", "currency"]
    offer = Advertisement.from_input(given(), allow=fields)
    offer.owner = user
    offer.save()
    offer.publish(expires_at=utc_now() + _SHOWN)
    return done(url_for("offers.show", key=offer.pk), id=str(offer.pk))


@blueprint.get("/offers/<id:key>")
def show(key: ObjectId) -> str:
    return render_template("offer.html", offer=offer_or_404(key), payment_key=new_key())


@blueprint.post("/offers/<id:key>/remove")
@signed_in
def remove(user: User, key: ObjectId) -> ResponseReturnValue:
    offer = offer_or_404(key)
    if offer.owner != user:
        abort(403, "This is somebody else's offer.")
    offer.remove()
    return done(url_for("offers.home"), id=str(offer.pk))


def offer_or_404(key: ObjectId) -> Advertisement:
    """The offer, as long as it can be seen."""
    offer: Advertisement | None = Advertisement.objects(pk=key, status="active").first()
    if offer is None:
        abort(404, "This offer is not there (any more).")
    return offer
