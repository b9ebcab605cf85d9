"""Parts of documents."""

from datalayer.documents import Document, EmbeddedDocument
from datalayer.fields import (
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    StringField,
)


class Address(EmbeddedDocument):
    city = StringField(required=True)
    street = StringField()


class Review(EmbeddedDocument):
    stars = IntField(required=True)
    text = StringField()


class Shop(Document):
    address = EmbeddedDocumentField(Address, required=True)
    billing = EmbeddedDocumentField(Address)
    branches = ListField(EmbeddedDocumentField(Address))
    reviews = EmbeddedDocumentListField(Review)
    by_name = EmbeddedDocumentField("Address")


def read(shop: Shop) -> None:
    reveal_type(shop.address.city)  # is: str
    reveal_type(shop.billing)  # is: Address | None
    reveal_type(shop.branches)  # is: list[Address]
    reveal_type(shop.branches[0].street)  # is: str | None
    reveal_type(shop.reviews[0].stars)  # is: int
    reveal_type(shop.reviews.filter(stars=5).first())  # is: Review | None
    reveal_type(shop.reviews.create(stars=5))  # is: Review
    reveal_type(shop.by_name)  # is: Any
    if shop.billing:
        reveal_type(shop.billing.street)  # is: str | None


def write(shop: Shop) -> None:
    shop.address = Address(city="London")
    shop.billing = None
    shop.reviews.append(Review(stars=4))
    shop.reviews = [Review(stars=4)]
    shop.address = None  # error: expression has type "None"
    shop.address = "London"  # error: expression has type "str"
    shop.address.city = 3  # error: expression has type "int"
    shop.branches.append("London")  # error: incompatible type "str"; expected "Address"
    Address(town="London")  # error: has no field "town"
    shop.reviews.filter(star=5)  # error: has no field "star"; did you mean "stars"?
    shop.reviews.create(star=5)  # error: has no field "star"; did you mean "stars"?
