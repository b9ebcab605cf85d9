"""A model with every field, and what its documents look like in the database."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from bson import SON, Binary, DBRef, Decimal128, Int64, ObjectId
from bson.regex import Regex
from mongoengine.fields import (
    BinaryField,
    BooleanField,
    CachedReferenceField,
    ComplexDateTimeField,
    DateField,
    DateTimeField,
    Decimal128Field,
    DecimalField,
    DictField,
    DynamicField,
    EmailField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    EnumField,
    FileField,
    FloatField,
    GenericEmbeddedDocumentField,
    GenericLazyReferenceField,
    GenericReferenceField,
    GeoPointField,
    IntField,
    LazyReferenceField,
    LineStringField,
    ListField,
    LongField,
    MapField,
    MultiLineStringField,
    MultiPointField,
    MultiPolygonField,
    ObjectIdField,
    PointField,
    PolygonField,
    ReferenceField,
    SequenceField,
    SortedListField,
    StringField,
    URLField,
    UUIDField,
)

from datalayer.documents import (
    CurrencyField,
    Document,
    EmbeddedDocument,
    MoneyField,
    NormalizedEmailField,
    RawDictField,
    SecretField,
    UTCDateTimeField,
)


class State(Enum):
    OPEN = "open"
    DONE = "done"


class Level(Enum):
    LOW = 1
    HIGH = 2
    HIGHEST = 3


class Target(Document):
    name = StringField(max_length=20)
    meta = {"db_alias": "default"}


class Named(Document):
    key = StringField(primary_key=True)
    meta = {"db_alias": "default"}


class Part(EmbeddedDocument):
    word = StringField(required=True, max_length=5, db_field="w")
    size = IntField(min_value=0)
    flags = ListField(BooleanField())


class Shape(EmbeddedDocument):
    colour = StringField(choices=("red", "blue"))
    meta = {"allow_inheritance": True}


class Circle(Shape):
    radius = FloatField(min_value=0, required=True)


class Square(Shape):
    side = IntField(min_value=0)


class Node(EmbeddedDocument):
    label = StringField()
    children = EmbeddedDocumentListField("self")


class Every(Document):
    text = StringField(min_length=2, max_length=5)
    code = StringField(regex=r"[A-Z]{2}\d+$")
    words = StringField(regex=r"^\w+\s\w+")
    cases = StringField(regex=re.compile(r"^(stra.e|[k-m]+)\Z", re.IGNORECASE))
    chosen = StringField(choices=(("a", "The first"), ("b", "The second")))
    url = URLField()
    mail = EmailField()
    any_mail = EmailField(allow_utf8_user=True, allow_ip_domain=True, domain_whitelist=["here"])
    own_mail = NormalizedEmailField()
    secret = SecretField(max_length=8)
    currency = CurrencyField()
    uuid = UUIDField()
    uuid_text = UUIDField(binary=False)
    whole = IntField(min_value=-5, max_value=100)
    long = LongField()
    real = FloatField(min_value=-1.5, max_value=1e9)
    number = DecimalField(min_value=Decimal("0.1"), max_value=1000, precision=3)
    number_text = DecimalField(force_string=True)
    exact = Decimal128Field(min_value=0, max_value=Decimal("99.5"))
    money = MoneyField()
    amount = MoneyField(choices=(Decimal(1), Decimal("2.50")))
    yes = BooleanField()
    moment = DateTimeField()
    utc = UTCDateTimeField()
    day = DateField()
    moment_text = ComplexDateTimeField()
    state = EnumField(State)
    level = EnumField(Level, choices=[Level.LOW, Level.HIGH])
    numbers = ListField(IntField(max_value=10), max_length=3)
    anything = ListField()
    tags = ListField(StringField(), choices=("x", "y"))
    in_order = SortedListField(FloatField())
    grid = ListField(ListField(IntField(), required=True, max_length=2))
    states = ListField(EnumField(State))
    parts = EmbeddedDocumentListField(Part, max_length=2)
    texts = DictField(StringField(max_length=3))
    counts = MapField(IntField())
    by_name = MapField(EmbeddedDocumentField(Part))
    lists = MapField(ListField(UUIDField()))
    free = DictField()
    part = EmbeddedDocumentField(Part, db_field="p")
    shape = EmbeddedDocumentField(Shape)
    shapes = ListField(EmbeddedDocumentField(Shape))
    generic = GenericEmbeddedDocumentField(choices=(Part, Shape))
    any_part = GenericEmbeddedDocumentField()
    tree = EmbeddedDocumentField(Node)
    reference = ReferenceField(Target)
    reference_by_name = ReferenceField(Named)
    dbref = ReferenceField(Target, dbref=True)
    references = ListField(ReferenceField(Target))
    lazy = LazyReferenceField(Target)
    lazy_dbref = LazyReferenceField(Target, dbref=True)
    anywhere = GenericReferenceField()
    somewhere = GenericReferenceField(choices=(Target, Named))
    lazy_anywhere = GenericLazyReferenceField(choices=(Target,))
    cached = CachedReferenceField(Target, fields=["name"], auto_sync=False)
    other_id = ObjectIdField()
    data = BinaryField(max_bytes=10)
    file = FileField()
    serial = SequenceField()
    serial_text = SequenceField(value_decorator=str)
    pair = GeoPointField()
    point = PointField(auto_index=False)
    line = LineStringField(auto_index=False)
    polygon = PolygonField(auto_index=False)
    points = MultiPointField(auto_index=False)
    multi_line = MultiLineStringField(auto_index=False)
    polygons = MultiPolygonField(auto_index=False)
    dynamic = DynamicField()
    raw = RawDictField(max_bytes=60)
    nullable = IntField(null=True, default=3)
    needed = StringField(required=True)
    needed_list = ListField(StringField(), required=True)
    needed_words = DictField(required=True)
    needed_part = EmbeddedDocumentField(Part, required=True)

    meta = {"db_alias": "default"}


TARGET, OTHER = ObjectId(), ObjectId()
MOMENT = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)
RING = [[0, 0], [0, 1.5], [1, 1], [0, 0]]
PART = {"w": "word", "size": 3, "flags": [True, False]}


def generic_reference(name: str, key: Any) -> SON[str, Any]:
    return SON([("_cls", name), ("_ref", DBRef(name.lower(), key))])


# For each field of ``Every`` by its name in the database: values that are valid as they stand.
VALID: dict[str, tuple[Any, ...]] = {
    "text": ("ab", "äöüß", "12345", "👍👍"),
    "code": ("AB1", "AB12\n", "AB٣"),
    "words": ("a b", "été très", "x\xa0y!", "a\u2003b", "²\x1cx"),
    "cases": ("Straße", "STRAẞE", "KLM", "strake", "\u212a\u212a"),
    "chosen": ("a", "b"),
    "url": (
        "http://example.org",
        "HTTPS://Example.org:80/x?y",
        "ftp://1.2.3.4/",
        "http://localhost",
    ),
    "mail": ("a@b.org", "A.B+c@x-y.example", '"a@b"@b.org', "a@bücher.org"),
    "any_mail": ("ä@b.org", "a@here", "a@[127.0.0.1]", "a@[::1]"),
    "own_mail": ("a@b.org", "ä@b.org"),
    "secret": ("12345678", ""),
    "currency": ("EUR", "JPY"),
    "uuid": (uuid.UUID(int=7), uuid.uuid5(uuid.NAMESPACE_DNS, "x")),
    "uuid_text": (str(uuid.UUID(int=7)), str(uuid.UUID(int=2**127)).upper()),
    "whole": (-5, 0, 100, Int64(7)),
    "long": (0, 2**62, -(2**63)),
    "real": (-1.5, 0, 1e9, 0.1, 5),
    "number": (0.1, 1000.0, 1.234, 7),
    "number_text": ("1.23", "-5.00"),
    "exact": (Decimal128("0"), Decimal128("99.5"), Decimal128("99.50"), Decimal128("1E-10")),
    "money": (Decimal128("12.50"), Decimal128("-1E+6000"), Decimal128("0")),
    "amount": (Decimal128("1.00"), Decimal128("2.5")),
    "yes": (True, False),
    "moment": (MOMENT, datetime(1, 1, 1, tzinfo=UTC)),
    "utc": (MOMENT, datetime(1969, 1, 1, tzinfo=UTC)),
    "day": (datetime(2026, 1, 31, tzinfo=UTC), MOMENT),
    "moment_text": ("2026,01,31,12,30,15,000250", "1969,12,31,23,59,59,999999"),
    "state": ("open", "done"),
    "level": (1, 2, Int64(1)),
    "numbers": ([], [1], [10, -3, 0]),
    "anything": ([], [1, "a", None, [2]], [{"a": 1}]),
    "tags": ([], ["x"], ["y", "x", "x"]),
    "in_order": ([], [1.5, 2.5], [3]),
    "grid": ([], [[1]], [[1, 2], [3]]),
    "states": (["open"], ["done", "open"]),
    "parts": ([], [PART], [PART, {"w": ""}]),
    "texts": ({}, {"a": "abc", "b.c": ""}, {"": "x"}),
    "counts": ({}, {"a": 1, "é": 2**40}),
    "by_name": ({"a": PART}, {"a": {"w": "x"}, "b": PART}),
    "lists": ({"a": []}, {"a": [uuid.UUID(int=1)]}),
    "free": ({}, {"a": {"b": [1, None]}}),
    "p": (PART, {"w": "x"}, {"w": "x", "flags": []}),
    "shape": (
        {"_cls": "Shape", "colour": "red"},
        {"_cls": "Circle", "radius": 1.5},
        {"_cls": "Square", "side": 2, "colour": "blue"},
        {"_cls": "Shape"},
    ),
    "shapes": ([], [{"_cls": "Circle", "radius": 0.5}, {"_cls": "Shape"}]),
    "generic": ({**PART, "_cls": "Part"}, {"_cls": "Circle", "radius": 2.0}),
    "any_part": ({**PART, "_cls": "Part"}, {"_cls": "Node", "label": "x"}),
    "tree": ({"label": "a"}, {"label": "a", "children": [{"label": "b", "children": []}]}),
    "reference": (TARGET, OTHER),
    "reference_by_name": ("key", ""),
    "dbref": (DBRef("target", TARGET),),
    "references": ([], [TARGET, OTHER]),
    "lazy": (TARGET,),
    "lazy_dbref": (DBRef("target", TARGET),),
    "anywhere": (generic_reference("Target", TARGET), generic_reference("Named", "key")),
    "somewhere": (generic_reference("Target", TARGET), generic_reference("Named", "key")),
    "lazy_anywhere": (generic_reference("Target", TARGET),),
    "cached": ({"_id": TARGET, "name": "x"}, {"_id": TARGET}),
    "other_id": (ObjectId(), TARGET),
    "data": (b"", b"0123456789", Binary(b"x", 5)),
    "file": (TARGET,),
    "serial": (1, 2**40),
    "serial_text": ("1", "x"),
    "pair": ([1, 2], [0.5, -1]),
    "point": ({"type": "Point", "coordinates": [1, 2.5]},),
    "line": (
        {"type": "LineString", "coordinates": RING},
        {"type": "LineString", "coordinates": [[1, 2]]},
    ),
    "polygon": (
        {"type": "Polygon", "coordinates": [RING]},
        {"type": "Polygon", "coordinates": [RING, RING]},
    ),
    "points": ({"type": "MultiPoint", "coordinates": RING},),
    "multi_line": ({"type": "MultiLineString", "coordinates": [RING, [[1, 1]]]},),
    "polygons": ({"type": "MultiPolygon", "coordinates": [[RING], [RING, RING]]},),
    "dynamic": (1, "x", [1, {"a": 2}], {"a": None}, b"x"),
    "raw": (
        {},
        {"$a": {"b.c": [1]}},
    ),
    "nullable": (1, None),
    "needed": ("", "x"),
    "needed_list": (["a"], ["", "b"]),
    "needed_words": ({"a": 1}, {"a": None}),
    "needed_part": (PART, {"w": "x", "size": 0}),
}
# What is put anywhere: of each type that BSON has, and what is close to valid.
JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 101, 2**40, -(2**63), 0.0, 1.5, -1e300, 1e300,
    float("nan"), float("inf"),
    "", "a", "ab", "abc", "abcdef", "a b", "a\tb", "AB1", "AB1\n", "AB1\n\n", "xAB1", "AB", "ab1",
    "strasse", "STRAßE\n", "kk", "\u017f", "j", "İ", "open", "OPEN", "red", "x",
    "EUR", "eur", "XXX",
    "http://", "http:/example.org", "gopher://example.org", "http://example",
    "http://exa mple.org",
    "http://example.org/a b", "http://-x.org", "http://example.org/\u3000",
    "a@", "@b.org", "a@b", "a@b.org\n", "a b@b.org", "a@b@c.org", "a@-b.org", "ä@b.org", "a@[1]",
    "a@here", "a@here.", "a@bücher..org", "A@B.ORG", '"a"b@c.org',
    "2026,1,31", "2026,13,31,12,30,15,000250", "2026,02,31,12,30,15,000250", "2026-01-31",
    str(uuid.UUID(int=7))[:-1], str(uuid.UUID(int=7)) + "0", "{" + str(uuid.UUID(int=7)) + "}",
    ObjectId(), MOMENT, b"", b"0123456789a", b"1234567890123456", uuid.UUID(int=9),
    Binary(b"1234567890123456", 3), Decimal128("1"), Decimal128("-1"), Decimal128("100"),
    Decimal128("NaN"), Decimal128("Infinity"), Regex("a"), DBRef("target", TARGET),
    DBRef("elsewhere", TARGET), [], [None], [1], ["a"], ["x", "z"], [1, 2], [1, 2, 3], [11],
    [1, 2, 3, 4],
    [1.5, "a"], [[]], [[1, 2]], [[1, 2, 3]], [["a", 1]], [[[1, 2]]], [[[0, 0], [1, 1]]], [{}],
    [ObjectId()], [True], {}, {"a": 1}, {"a": None}, {"a": "abcd"}, {"$a": "x"}, {"a": {"$b": 1}},
    {"a.b": "x"}, {"w": "x"}, {"w": None}, {"w": 1}, {"word": "x"}, {"size": 1}, {"w": "abcdef"},
    {"w": "x", "size": -1}, {"w": "x", "more": 1}, {"_cls": "Part"}, {"_cls": "Part", "w": "x"},
    {"_cls": "Nothing"}, {"_cls": "Circle"}, {"_cls": "Square", "radius": 1.5},
    {"colour": "red"}, {"colour": "green"}, {"_cls": "Shape", "colour": None},
    {"type": "Point", "coordinates": [1, 2, 3]}, {"type": "point", "coordinates": [1, 2]},
    {"type": "Point"}, {"coordinates": [1, 2]}, {"type": "Point", "coordinates": [1, 2], "x": 1},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, {"label": 1}, {"children": None},
    {"_id": TARGET}, {"_id": 5}, {"name": "x"}, {"_cls": "Target"},
    generic_reference("Every", TARGET), generic_reference("Part", TARGET),
    {"_cls": "Target", "_ref": TARGET}, date(2026, 1, 31).isoformat(),
)  # fmt: skip
