"""What reading a field gives, and what assigning takes."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import uuid4

from bson import ObjectId

from datalayer.documents import Document
from datalayer.fields import (
    BinaryField,
    BooleanField,
    DateField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EmailField,
    EnumField,
    FloatField,
    IntField,
    ObjectIdField,
    PointField,
    SequenceField,
    StringField,
    URLField,
    UTCDateTimeField,
    UUIDField,
)


class Colour(Enum):
    RED = "red"


class Thing(Document):
    optional = StringField()
    required = StringField(required=True)
    with_default = StringField(default="x")
    made = StringField(default=lambda: "x")
    without = StringField(required=False)
    email = EmailField()
    url = URLField(required=True)
    number = IntField()
    count = IntField(default=0)
    share = FloatField(required=True)
    is_new = BooleanField(default=False)
    price = DecimalField()
    exact = Decimal128Field()
    at = DateTimeField()
    moment = UTCDateTimeField(default=datetime.now)
    day = DateField()
    colour = EnumField(Colour, required=True)
    other = ObjectIdField()
    token = UUIDField(default=uuid4)
    data = BinaryField()
    facts = DictField()
    anything = DynamicField()
    place = PointField()
    serial = SequenceField()
    meta = {"db_alias": "default"}


def read(thing: Thing) -> None:
    reveal_type(thing.optional)  # is: str | None
    reveal_type(thing.required)  # is: str
    reveal_type(thing.with_default)  # is: str
    reveal_type(thing.made)  # is: str
    reveal_type(thing.without)  # is: str | None
    reveal_type(thing.email)  # is: str | None
    reveal_type(thing.url)  # is: str
    reveal_type(thing.number)  # is: int | None
    reveal_type(thing.count)  # is: int
    reveal_type(thing.share)  # is: float
    reveal_type(thing.is_new)  # is: bool
    reveal_type(thing.price)  # is: Decimal | None
    reveal_type(thing.exact)  # is: Decimal | None
    reveal_type(thing.at)  # is: datetime | None
    reveal_type(thing.moment)  # is: datetime
    reveal_type(thing.day)  # is: date | None
    reveal_type(thing.colour)  # is: Colour
    reveal_type(thing.other)  # is: ObjectId | None
    reveal_type(thing.token)  # is: UUID
    reveal_type(thing.data)  # is: bytes | None
    reveal_type(thing.facts)  # is: dict[str, Any]
    reveal_type(thing.anything)  # is: Any
    reveal_type(thing.id)  # is: ObjectId
    reveal_type(Thing.required)  # is: StringField[str, str]


def write(thing: Thing) -> None:
    thing.optional = None
    thing.optional = "text"
    thing.price = Decimal("1.20")
    thing.moment = datetime.now(UTC)
    thing.colour = Colour.RED
    thing.other = ObjectId()
    thing.number = "text"  # error: expression has type "str" || "Literal['text']"
    thing.required = 3  # error: expression has type "int" || "Literal[3]" cannot be assigned
    thing.facts = ["x"]  # error: expression has type "list[str]" || "list[str]"
    thing.nosuch = 1  # error: has no attribute "nosuch" || attribute "nosuch"


def misread(thing: Thing) -> None:
    print(thing.optional.upper())  # error: has no attribute "upper" || "upper" is not a known
    print(thing.nosuch)  # error: has no attribute "nosuch" || attribute "nosuch"
    print(thing.required.uper())  # error: has no attribute "uper" || attribute "uper"
