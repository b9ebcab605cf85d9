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
from flea_market.web import done, text

blueprint = Blueprint("payments", __name__)


def new_key() -> str:
    """What makes a form's second sending the same payment. Each form that is shown has its own."""
    return secrets.token_urlsafe(16)


@blueprint.get("/payments")
@signed_in
def overview(user: User) -> ResponseReturnValue:
    payments = list(Transaction.of(user).limit(100))
    if request.accept_mimetypes.best == "application/json":
        shown = [{"id": str(each.pk), "status": each.status} for each in payments]
        return {"payments": shown}
    return render_template("payments.html", payments=payments)


@blueprint.post("/offers/<id:key>/buy")
@signed_in
def buy(user: User, key: ObjectId) -> ResponseReturnValue:
    """Pay for an offer, what it costs: the price is never the form's."""
    offer: Advertisement | None = Advertisement.objects(pk=key, status="active").first()
    if offer is None or offer.price is None:
        abort(404, "This offer can't be bought.")
    given_key = request.headers.get("Idempotency-Key") or text("payment_key")
    if not given_key:
        abort(400, "A payment needs a key: payment_key, or the header Idempotency-Key.")
    try:
        payment = pay(user, offer, given_key)
    except OutcomeUnknownError as exc:
        # Elsewhere nobody may just try again after this error. Here the key makes it safe.
        raise UnavailableError("the reply to a payment was lost; its key is known") from exc
    return done(url_for("payments.overview"), id=str(payment.pk), status=payment.status)


def pay(user: User, offer: Advertisement, key: str) -> Transaction:
    """The payment for this key, with the money taken: a new one, or the one made before.

    One that got stuck half-way goes on from where it is. Here the payment provider's client is
    called, with the same key.
    """
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
