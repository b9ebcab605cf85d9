"""A shop, as its users write it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import Enum

from datalayer import db
from datalayer.documents import (
    AnalyticsDocument,
    BusinessDocument,
    EmbeddedDocument,
    QuerySet,
    utc_now,
)
from datalayer.fields import (
    BooleanField,
    DecimalField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    IntField,
    ListField,
    MapField,
    ReferenceField,
    StringField,
    UTCDateTimeField,
)


class State(Enum):
    OPEN = "open"
    PAID = "paid"


class Address(EmbeddedDocument):
    street = StringField(required=True)
    city = StringField(required=True)
    country = StringField()


class Customer(BusinessDocument):
    name = StringField(required=True)
    email = StringField()
    address = EmbeddedDocumentField(Address)
    tags = ListField(StringField())
    is_active = BooleanField(default=True)
    meta = {"collection": "corpus_customers"}


class Item(EmbeddedDocument):
    sku = StringField(required=True)
    quantity = IntField(default=1)
    price = DecimalField(required=True)

    @property
    def total(self) -> Decimal:
        return self.price * self.quantity


class Order(BusinessDocument):
    number = StringField(primary_key=True)
    customer = ReferenceField(Customer, required=True)
    items = EmbeddedDocumentListField(Item)
    state = EnumField(State, default=State.OPEN)
    notes = MapField(StringField())
    paid_at = UTCDateTimeField()
    meta = {"collection": "corpus_orders", "indexes": ["customer", "state"]}

    @property
    def total(self) -> Decimal:
        return sum((item.total for item in self.items), Decimal(0))

    def pay(self, at: datetime | None = None) -> None:
        if self.state is State.PAID:
            raise ValueError(f"{self.number} is paid")
        self.state = State.PAID
        self.paid_at = at or utc_now()
        self.save()


class PageView(AnalyticsDocument):
    path = StringField(required=True)
    milliseconds = IntField(min_value=0)
    meta = {"collection": "corpus_page_views"}


def open_orders(customer: Customer) -> QuerySet[Order]:
    return Order.objects(customer=customer, state=State.OPEN).order_by("-number")


def place(customer: Customer, number: str, prices: dict[str, Decimal]) -> Order:
    order = Order(number=number, customer=customer)
    for sku, price in prices.items():
        order.items.append(Item(sku=sku, price=price))
    return order.save()


@db.transactional
def pay_all(customer: Customer) -> Decimal:
    total = Decimal(0)
    for order in open_orders(customer):
        order.pay()
        total += order.total
    return total


def names(city: str) -> list[str]:
    return [each.name for each in Customer.objects.filter(address__city=city).only("name")]


def countries(customers: list[Customer]) -> Iterator[str]:
    for customer in customers:
        if customer.address is not None and customer.address.country is not None:
            yield customer.address.country


def slowest(path: str) -> int | None:
    view = PageView.objects(path=path).order_by("-milliseconds").first()
    return None if view is None else view.milliseconds


def main() -> None:
    with db.connected():
        customer = Customer(name="Ann", address=Address(street="Main Street 1", city="Basel"))
        customer.tags = ["new"]
        customer.save()
        place(customer, "A-1", {"pen": Decimal("1.20")})
        print(pay_all(customer), names("Basel"), list(countries([customer])), slowest("/"))
        try:
            Order.objects.get(number="A-2")
        except Order.DoesNotExist:
            print("there is no A-2")
