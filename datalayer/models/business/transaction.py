"""Transactions: money that a user pays, charged once whatever the network does."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from mongoengine import DENY
from mongoengine.errors import ValidationError

from datalayer.documents import (
    BusinessDocument,
    CurrencyField,
    Lifecycle,
    MoneyField,
    QuerySet,
    UTCDateTimeField,
    exact_amount,
    utc_now,
)
from datalayer.fields import ReferenceField, StringField
from datalayer.models.business.user import User
from datalayer.models.insert_once import insert_once


class Transaction(Lifecycle, BusinessDocument):
    """One payment: pending, authorised, captured, perhaps refunded; or failed or cancelled.

    Make it with ``charge``. A user who has transactions can't be deleted.
    """

    transitions = {
        "pending": {"authorised", "failed", "cancelled"},
        "authorised": {"captured", "failed", "cancelled"},
        "captured": {"refunded"},
        "refunded": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }

    user = ReferenceField(User, required=True, reverse_delete_rule=DENY)
    amount = MoneyField(required=True)
    currency = CurrencyField(required=True)
    idempotency_key = StringField(required=True, min_length=1, max_length=200)
    description = StringField(max_length=500)
    status = StringField(required=True, choices=tuple(transitions), default="pending")
    status_changed_at = UTCDateTimeField(default=utc_now)
    failure_reason = StringField(max_length=500)

    meta = {
        "collection": "transactions",
        "indexes": [
            # Per user: clients choose their keys, and one's must not hit upon another's.
            {"fields": ["user", "idempotency_key"], "unique": True},
            ("user", "-created_at"),
            ("status", "status_changed_at"),
        ],
    }

    @classmethod
    def charge(
        cls,
        user: User,
        amount: Decimal | int | str,
        currency: str,
        *,
        idempotency_key: str,
        description: str | None = None,
    ) -> Transaction:
        """The transaction for ``idempotency_key``: a new pending one, or the one made before.

        However often and from however many threads it is called, a user has at most one
        transaction for a key.

        Raises:
            ValidationError: for a bad amount, and where the key was used for another one.
        """
        wanted = cls(
            user=user,
            amount=amount,
            currency=currency,
            idempotency_key=idempotency_key,
            description=description,
        )
        wanted.validate()
        made = insert_once(wanted, user=user, idempotency_key=idempotency_key)
        if (made.amount, made.currency) != (wanted.amount, wanted.currency):
            raise ValidationError(
                "this idempotency key was used for another amount", field_name="idempotency_key"
            )
        return made

    @classmethod
    def of(cls, user: User) -> QuerySet[Transaction]:
        """The transactions of ``user``, newest first."""
        return cls.objects(user=user).order_by("-created_at")

    @classmethod
    def waiting(cls, status: str, before: datetime | None = None) -> QuerySet[Transaction]:
        """Those that came to ``status`` by ``before`` (default: now), the longest waiting first.

        For workers that look after payments which got stuck.
        """
        stuck = cls.objects(status=status, status_changed_at__lte=before or utc_now())
        return stuck.order_by("status_changed_at")

    def authorise(self) -> None:
        """The provider has reserved the money."""
        self.move_to("authorised", status_changed_at=utc_now())

    def capture(self) -> None:
        """The money was taken."""
        self.move_to("captured", status_changed_at=utc_now())

    def refund(self) -> None:
        """The money was given back."""
        self.move_to("refunded", status_changed_at=utc_now())

    def cancel(self) -> None:
        """Nothing was taken, and nothing will be."""
        self.move_to("cancelled", status_changed_at=utc_now())

    def fail(self, reason: str) -> None:
        """The provider refused, for ``reason``."""
        self.move_to("failed", status_changed_at=utc_now(), failure_reason=reason)

    def clean(self) -> None:
        """Check the amount and give it the places of its currency."""
        super().clean()
        if isinstance(self.amount, Decimal) and self.amount.is_finite() and self.currency:
            self.amount = exact_amount(self.amount, self.currency)
            if self.amount <= 0:
                raise ValidationError("an amount is more than nothing", field_name="amount")
