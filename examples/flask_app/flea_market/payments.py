"""Payments: each is made once, however often its form is sent."""

from __future__ import annotations

import secrets

from bson import ObjectId
from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from datalayer.documents import TransitionError
from datalayer.errors import OutcomeUnknownError, UnavailableError
from datalayer.models import Advertisement, Transaction, User
from flea_market.accounts import signed_in
from flea_market.forms import text
from flea_market.offers import offer_or_404
from flea_market.people import names_of
from flea_market.web import done, money, page_by_key

blueprint = Blueprint("payments", __name__)


@blueprint.get("/payments")
@signed_in
def overview(user: User) -> ResponseReturnValue:
    page = page_by_key(Transaction.of(user).no_dereference())
    if request.accept_mimetypes.best == "application/json":
        shown = [{"id": str(each.pk), "status": each.status} for each in page.items]
        return {"payments": shown}
    return render_template("payments.html", page=page)


@blueprint.get("/offers/<id:key>/buy")
@signed_in
def confirm(user: User, key: ObjectId) -> ResponseReturnValue:
    """What is bought, from whom and for how much. Each form that is shown has a key of its own:
    it makes the form's second sending the same payment."""
    offer = _for_sale(user, key)
    name = names_of([offer.owner.id]).get(offer.owner.id, "somebody")
    new_key = secrets.token_urlsafe(16)
    return render_template("buy.html", offer=offer, owner_name=name, payment_key=new_key)


@blueprint.post("/offers/<id:key>/buy")
@signed_in
def buy(user: User, key: ObjectId) -> ResponseReturnValue:
    """Pay for an offer, what it costs: the price is never the form's."""
    offer = _for_sale(user, key)
    given_key = request.headers.get("Idempotency-Key") or text("payment_key")
    if not given_key:
        abort(400, "A payment needs a key: payment_key, or the header Idempotency-Key.")
    try:
        payment = pay(user, offer, given_key)
    except OutcomeUnknownError as exc:
        # Elsewhere nobody may just try again after this error. Here the key makes it safe.
        raise UnavailableError("the reply to a payment was lost; its key is known") from exc
    said = f"Paid: {money(payment.amount)} {payment.currency} for {payment.description}."
    return done(url_for("payments.overview"), said, id=str(payment.pk), status=payment.status)


def pay(user: User, offer: Advertisement, key: str) -> Transaction:
    """The payment for this key, with the money taken: a new one, or the one made before.

    One that got stuck half-way goes on from where it is. Here the payment provider's client is
    called, with the same key.
    """
    if offer.price is None or offer.currency is None:
        abort(400, "This offer has no price.")
    payment = Transaction.charge(
        user,
        offer.price,
        offer.currency,
        idempotency_key=f"{offer.pk}:{key}",
        description=offer.title,
    )
    try:
        if payment.status == "pending":
            payment.authorise()
        if payment.status == "authorised":
            payment.capture()
    except TransitionError:  # the same form, sent twice at the same moment
        payment.reload()
    return payment


def _for_sale(user: User, key: ObjectId) -> Advertisement:
    offer = offer_or_404(key)
    if not offer.price:
        abort(404, "This offer can't be bought.")
    if offer.owner.id == user.pk:
        abort(403, "This is your own offer: there is nothing to pay.")
    return offer
