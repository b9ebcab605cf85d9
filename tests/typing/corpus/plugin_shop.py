"""A shop, as an application writes one: nothing here may be found wrong by any checker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from datalayer import db, recorder
from datalayer.documents import (
    AnalyticsDocument,
    BusinessDocument,
    EmbeddedDocument,
    NotUniqueError,
    Q,
)
from datalayer.fields import (
    DictField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    IntField,
    ListField,
    MoneyField,
    NormalizedEmailField,
    ReferenceField,
    StringField,
    UTCDateTimeField,
)


class Status(Enum):
    OPEN = "open"
    PAID = "paid"


class Address(EmbeddedDocument):
    street = StringField(required=True)
    city = StringField(required=True)
    postcode = StringField()


class Line(EmbeddedDocument):
    article = StringField(required=True)
    quantity = IntField(default=1)
    price = MoneyField(required=True)

    @property
    def total(self) -> Decimal:
        return self.price * self.quantity


class Customer(BusinessDocument):
    email = NormalizedEmailField(required=True, unique=True)
    name = StringField(max_length=80)
    address = EmbeddedDocumentField(Address)
    tags = ListField(StringField())
    points = IntField(default=0)

    meta = {"indexes": ["tags"]}

    def greeting(self) -> str:
        if self.name is None:
            return f"Hello {self.email}"
        return f"Hello {self.name.title()}"

    @classmethod
    def in_city(cls, city: str) -> list[str]:
        return [customer.email for customer in cls.objects(address__city=city)]


class Order(BusinessDocument):
    customer = ReferenceField(Customer, required=True)
    lines = EmbeddedDocumentListField(Line)
    status = EnumField(Status, default=Status.OPEN)
    placed_at = UTCDateTimeField(default=lambda: datetime.now(UTC))
    notes = DictField()

    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))


class OrderPlaced(AnalyticsDocument):
    order = StringField(required=True)
    value = MoneyField(required=True)


def sign_up(email: str, city: str | None = None) -> Customer | None:
    customer = Customer(email=email, tags=["new"])
    if city is not None:
        customer.address = Address(street="1, Main Street", city=city)
    try:
        return customer.save()
    except NotUniqueError:
        return None


@db.transactional(attempts=3)
def place(customer: Customer, lines: list[Line]) -> Order:
    order = Order(customer=customer, lines=lines)
    order.notes["lines"] = len(lines)
    order.save()
    Customer.objects(pk=customer.pk).update_one(inc__points=len(lines), push__tags="buyer")
    db.outbox.add(OrderPlaced(order=str(order.id), value=order.total()))
    return order


@db.retry(attempts=3)
def open_orders(city: str, limit: int = 20) -> list[Order]:
    customers = list(Customer.objects(address__city=city))
    found = Order.objects.filter(Q(status=Status.OPEN) & Q(customer__in=customers))
    return list(found.order_by("-placed_at")[:limit])


def pay(number: str) -> bool:
    try:
        order = Order.objects.get(id=number, status=Status.OPEN)
    except Order.DoesNotExist:
        return False
    order.status = Status.PAID
    order.save()
    recorder.record(OrderPlaced(order=str(order.pk), value=order.total()))
    return order.placed_at < datetime.now(UTC)


def report() -> Iterator[tuple[str, int]]:
    for customer in Customer.objects.only("email", "points").order_by("-points").limit(10):
        yield customer.email, customer.points


def revenue() -> dict[str, Any]:
    stages: list[dict[str, Any]] = [{"$unwind": "$lines"}, {"$count": "lines"}]
    for row in Order.objects.aggregate(stages):
        return row
    return {}


def main() -> None:
    with db.connected(), db.deadline(30):
        customer = sign_up("ada@example.com", "London")
        if customer is not None:
            order = place(customer, [Line(article="lamp", price=Decimal("9.50"))])
            print(order.total(), pay(str(order.id)), customer.greeting(), revenue())
