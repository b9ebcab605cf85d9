"""Lists, maps, embedded documents and references know what they hold."""

from __future__ import annotations

from datalayer.documents import Document, EmbeddedDocument
from datalayer.fields import (
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    GenericReferenceField,
    IntField,
    LazyReferenceField,
    ListField,
    MapField,
    ReferenceField,
    SortedListField,
    StringField,
)


class Line(EmbeddedDocument):
    sku = StringField(required=True)
    quantity = IntField(default=1)


class Owner(Document):
    name = StringField(required=True)
    meta = {"db_alias": "default"}


class Order(Document):
    tags = ListField(StringField())
    grid = ListField(ListField(IntField()))
    sorted_numbers = SortedListField(IntField())
    prices = MapField(IntField())
    by_name = MapField(EmbeddedDocumentField(Line))
    first = EmbeddedDocumentField(Line)
    main = EmbeddedDocumentField(Line, required=True)
    lines = EmbeddedDocumentListField(Line)
    others = ListField(EmbeddedDocumentField(Line))
    owner = ReferenceField(Owner)
    payer = ReferenceField(Owner, required=True)
    lazy = LazyReferenceField(Owner)
    owners = ListField(ReferenceField(Owner))
    anything = GenericReferenceField()
    meta = {"db_alias": "default"}


def read(order: Order) -> None:
    reveal_type(order.tags[0])  # is: str
    reveal_type(order.grid[0][0])  # is: int
    reveal_type(order.sorted_numbers[0])  # is: int
    reveal_type(order.prices["a"])  # is: int
    reveal_type(order.by_name["a"])  # is: Line
    reveal_type(order.first)  # is: Line | None
    reveal_type(order.main.quantity)  # is: int
    reveal_type(order.lines[0].sku)  # is: str
    reveal_type(order.lines.filter(sku="x")[0])  # is: Line
    reveal_type(order.others[0].sku)  # is: str
    reveal_type(order.owner)  # is: Owner | None
    reveal_type(order.payer.name)  # is: str
    reveal_type(order.owners[0].name)  # is: str
    if order.lazy is not None:
        reveal_type(order.lazy.fetch())  # is: Owner
    for tag in order.tags:
        reveal_type(tag)  # is: str


def write(order: Order, owner: Owner) -> None:
    order.tags.append("x")
    order.tags = ["a", "b"]
    order.owner = owner
    order.owner = None
    order.lines.append(Line(sku="x"))
    order.lines = [Line(sku="x")]
    order.tags.append(3)  # error: incompatible type "int" || "Literal[3]" cannot be assigned
    order.tags = [3]  # error: incompatible type "int" || "list[int]" is not assignable
    order.first = owner  # error: expression has type "Owner" || "Owner" is not assignable
    order.payer = None  # error: expression has type "None" || "None" is not assignable
    order.lines.append(owner)  # error: incompatible type "Owner" || "Owner" cannot be assigned
