"""Advertisements: what users offer, from draft to removal."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from mongoengine import CASCADE
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


class Advertisement(Lifecycle, BusinessDocument):
    """An offer. Its status goes from draft to active, may pause, and ends expired or removed."""

    transitions = {
        "draft": {"active", "removed"},
        "active": {"paused", "expired", "removed"},
        "paused": {"active", "expired", "removed"},
        "expired": {"active", "removed"},
        "removed": frozenset(),
    }

    owner = ReferenceField(User, required=True, reverse_delete_rule=CASCADE)
    title = StringField(required=True, min_length=1, max_length=140)
    body = StringField(required=True, min_length=1, max_length=10_000)
    category = StringField(required=True, min_length=1, max_length=60)
    price = MoneyField(min_value=0)
    currency = CurrencyField()
    status = StringField(required=True, choices=tuple(transitions), default="draft")
    published_at = UTCDateTimeField()
    expires_at = UTCDateTimeField()

    meta = {
        "collection": "advertisements",
        "indexes": [
            ("category", "status", "-created_at"),
            ("owner", "-created_at"),
            ("status", "expires_at"),
            {"name": "search", "fields": ["$title", "$body"], "weights": {"title": 5, "body": 1}},
        ],
    }

    @classmethod
    def in_category(cls, category: str, status: str = "active") -> QuerySet[Advertisement]:
        """The advertisements of a category, newest first."""
        return cls.objects(category=category, status=status).order_by("-created_at")

    @classmethod
    def of(cls, owner: User) -> QuerySet[Advertisement]:
        """All advertisements of ``owner``, newest first."""
        return cls.objects(owner=owner).order_by("-created_at")

    @classmethod
    def search(cls, words: str, status: str = "active") -> QuerySet[Advertisement]:
        """The advertisements with any of ``words`` in title or body, the best match first.

        Takes MongoDB's text search syntax: ``"exact phrase"`` and ``-without``.
        """
        return cls.objects(status=status).search_text(words).order_by("$text_score")

    @classmethod
    def due(cls, moment: datetime | None = None) -> QuerySet[Advertisement]:
        """The active advertisements whose time ran out, the longest overdue first."""
        overdue = cls.objects(status="active", expires_at__lte=moment or utc_now())
        return overdue.order_by("expires_at")

    @classmethod
    def expire_due(cls, moment: datetime | None = None) -> int:
        """Move those that are due to ``expired``; returns how many there were."""
        return int(cls.due(moment).order_by().update(status="expired"))

    def publish(self, expires_at: datetime | None = None) -> None:
        """Make it visible, for the first time or again."""
        changes = {"expires_at": expires_at} if expires_at is not None else {}
        self.move_to("active", published_at=self.published_at or utc_now(), **changes)

    def pause(self) -> None:
        """Hide it for a while."""
        self.move_to("paused")

    def expire(self) -> None:
        """Note that its time ran out."""
        self.move_to("expired")

    def remove(self) -> None:
        """Take it away for good; the document stays."""
        self.move_to("removed")

    def clean(self) -> None:
        """Give the price the places of its currency."""
        super().clean()
        if (self.price is None) != (self.currency is None):
            raise ValidationError("a price and its currency go together", field_name="currency")
        if self.currency is None or not isinstance(self.price, Decimal):
            return
        if self.price.is_finite():
            self.price = exact_amount(self.price, self.currency)
