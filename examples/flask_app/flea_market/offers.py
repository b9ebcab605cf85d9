"""Offers: what people advertise."""

from __future__ import annotations

from datetime import timedelta

from bson import ObjectId
from flask import Blueprint, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.contrib.flask import model_form
from datalayer.documents import NotUniqueError, utc_now
from datalayer.models import Advertisement, User
from flea_market.accounts import signed_in
from flea_market.forms import again, amount, errors_of, form_id, taking
from flea_market.people import names_of
from flea_market.web import done, page_of

blueprint = Blueprint("offers", __name__)

CURRENCIES = ("EUR", "GBP", "USD")
OfferForm = model_form(
    Advertisement,
    only=["title", "body", "category", "price", "currency"],
    field_args={"currency": {"choices": CURRENCIES}},
)
_SHOWN = timedelta(days=30)
_LONGEST_SEARCH = 200


@blueprint.get("/")
def home() -> str:
    """The newest offers, or those with some words."""
    words = request.args.get("words", "").strip()[:_LONGEST_SEARCH]
    found = (
        Advertisement.search(words)
        if words
        else Advertisement.objects(status="active").order_by("-created_at")
    )
    page = page_of(found.no_dereference())
    names = names_of(each.owner.id for each in page.items)
    return render_template("home.html", page=page, names=names, words=words)


@blueprint.get("/offers/new")
@signed_in
def new(user: User) -> ResponseReturnValue:
    values = {"form_id": ObjectId(), "currency": CURRENCIES[0]}
    return render_template("new_offer.html", values=values, currencies=CURRENCIES)


@blueprint.post("/offers")
@signed_in
def publish(user: User) -> ResponseReturnValue:
    offer = Advertisement(id=form_id(), owner=user)

    def set_price() -> None:
        offer.price = amount("price")
        if offer.price is not None:
            for check in taking(offer, "currency"):
                check()

    errors = errors_of(*taking(offer, "title", "body", "category"), set_price, offer.validate)
    if errors:
        return again("new_offer.html", errors, currencies=CURRENCIES)
    try:
        offer.save(force_insert=True)
    except NotUniqueError:  # the same form, sent a second time
        offer = _own(user, offer.pk)
    if offer.status == "draft":
        offer.publish(expires_at=utc_now() + _SHOWN)
    return done(url_for("offers.show", key=offer.pk), "Your offer is there.", id=str(offer.pk))


@blueprint.get("/offers/<id:key>")
def show(key: ObjectId) -> str:
    offer = offer_or_404(key)
    name = names_of([offer.owner.id]).get(offer.owner.id, "somebody")
    return render_template("offer.html", offer=offer, owner_name=name)


@blueprint.route("/offers/<id:key>/edit", methods=["GET", "POST"])
@signed_in
def edit(user: User, key: ObjectId) -> ResponseReturnValue:
    """The whole page is a form of the model's: it checks, saves, and says what is wrong."""
    offer_or_404(key)
    form = OfferForm(obj=_own(user, key))
    if form.save_if_valid():
        return done(url_for("offers.show", key=key), "Your offer is changed.", id=str(key))
    if form.errors and request.is_json:
        return jsonify(error=form.errors), 400
    return render_template("edit_offer.html", form=form, key=key), 400 if form.errors else 200


@blueprint.post("/offers/<id:key>/remove")
@signed_in
def remove(user: User, key: ObjectId) -> ResponseReturnValue:
    offer_or_404(key)
    offer = _own(user, key)
    offer.remove()
    return done(url_for("offers.home"), "Your offer is removed.", id=str(offer.pk))


def offer_or_404(key: ObjectId) -> Advertisement:
    """The offer, as long as it can be seen; its owner as a reference, which is not loaded."""
    offer: Advertisement | None = (
        Advertisement.objects(pk=key, status="active").no_dereference().first()
    )
    if offer is None:
        abort(404, "This offer is not there (any more).")
    return offer


def _own(user: User, key: ObjectId) -> Advertisement:
    offer: Advertisement | None = Advertisement.objects(pk=key, owner=user).first()
    if offer is None:
        abort(403, "This is somebody else's offer.")
    return offer
