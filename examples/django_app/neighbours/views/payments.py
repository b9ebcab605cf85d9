"""Paying for what neighbours offer: once, however often the button is pressed."""

from __future__ import annotations

import uuid

from bson import ObjectId
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from datalayer.documents import TransitionError
from neighbours.accounts import names_of, signed_in
from neighbours.forms import Payment
from neighbours.models import Advertisement, Transaction, User
from neighbours.pages import page_of
from neighbours.views.advertisements import found


@signed_in
def pay(request: HttpRequest, user: User, key: ObjectId) -> HttpResponse:
    """The form is made with a key of its own. Sent twice, by a second click or a browser that
    tries again, it has the same key, and the second time finds the payment made before."""
    advertisement = found(key)
    if advertisement.owner.id == user.pk:
        raise PermissionDenied("This is your own offer: there is nothing to pay.")
    form = Payment(request.POST or None, initial={"idempotency_key": uuid.uuid4()})
    if form.is_valid():
        payment = charged(user, advertisement, str(form.cleaned_data["idempotency_key"]))
        messages.success(request, f"Paid: {payment.amount:,} {payment.currency}.")
        return redirect("payments")
    owner = advertisement.owner.id
    shown = {
        "form": form,
        "advertisement": advertisement,
        "owner_name": names_of([owner]).get(owner, "somebody"),
    }
    return render(request, "pay.html", shown)


def charged(user: User, advertisement: Advertisement, idempotency_key: str) -> Transaction:
    """The payment, taken. A provider of payments would be asked between the two steps."""
    if advertisement.price is None or advertisement.currency is None:
        raise BadRequest("This offer has no price.")
    payment = Transaction.charge(
        user,
        advertisement.price,
        advertisement.currency,
        idempotency_key=idempotency_key,
        description=advertisement.title,
    )
    try:
        if payment.status == "pending":
            payment.authorise()
        if payment.status == "authorised":
            payment.capture()
    except TransitionError:
        payment.reload()  # the form was sent twice at once, and the other request takes the money
    return payment


@signed_in
def overview(request: HttpRequest, user: User) -> HttpResponse:
    page = page_of(request, Transaction.of(user).no_dereference())
    return render(request, "payments.html", {"page": page})
