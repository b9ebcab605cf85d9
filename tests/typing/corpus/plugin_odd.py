"""Odd code: whatever the plugin can't know is let pass, and it never breaks mypy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from datalayer.documents import BusinessDocument, EmbeddedDocument, Q, QuerySet
from datalayer.fields import (
    EmbeddedDocumentField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)

if TYPE_CHECKING:
    Unknown: Any

Kind = TypeVar("Kind")


def text(**options: Any) -> StringField[str | None, str | None]:
    return StringField(**options)


def anything() -> Any:
    return StringField()


def queryset_class() -> type[QuerySet[Any]]:
    return QuerySet


class Mixin:
    mixed = StringField()


class Pair(Generic[Kind]):
    def pair(self, value: Kind) -> tuple[Kind, Kind]:
        return value, value


class Odd(BusinessDocument, Mixin, Pair[int]):
    made = text(max_length=3)
    unknown = anything()
    removed = None
    nested = EmbeddedDocumentField("Nested")
    other = ReferenceField("Nowhere")
    first = second = IntField()
    third: IntField[int, int] = IntField(required=True)
    many = ListField(EmbeddedDocumentField("Nested"))

    meta = {"queryset_class": queryset_class(), "strict": bool(3), **{"a": 1}}

    def twice(self) -> Odd:
        return Odd(made=self.later().made, later=1)  # error: has no field "later"

    def later(self) -> Later:
        return Later(made="x", second=2).used()


class Later(Odd):
    def used(self) -> Later:
        return Later.objects(made="x", first=1, second=2).get()


class Nested(EmbeddedDocument):
    name = StringField()


names: dict[str, Any] = {"made": "x"}
condition = Q(nosuch=1)

Odd(made="x", unknown=3, mixed="y", nested=Nested(), third=3, first=1, second=2)
Odd(**names)
Odd(made=3)  # error: incompatible type "int"; expected "str | None"
Odd(mixed=3)  # error: incompatible type "int"; expected "str | None"
Odd.objects(unknown__deeper__gt=3, nested__name="x", many__name="x", other=3, **names)
Odd.objects(condition).filter(condition & Q(**names), made__not__in=["x"])
Odd.objects.order_by(*names).only(str(names)).update(**names)
Odd.objects(made__=3)  # error: incompatible type "int"; expected "str | Pattern[str] | None"
Odd.objects(__made=3)  # error: has no field ""
Odd.objects(condition, nosuch=3)  # error: has no field "nosuch"
make = Odd
make(nosuch=1)  # error: has no field "nosuch"
[Odd][0](nosuch=1)


def local() -> None:
    class Inside(BusinessDocument):
        name = StringField()

    Inside(name="x")
    Inside.objects(name="x", nosuch=1)  # error: has no field "nosuch"


def generic(model: type[Kind]) -> Kind:
    return model()


class Broken(Unknown):  # error: Class cannot subclass "Unknown" (has type "Any")
    name = StringField()


class Mended(Unknown, BusinessDocument):  # error: Class cannot subclass "Unknown" (has type "Any")
    name = StringField()


Broken(anything=1)
Mended(anything=1)
Mended.objects(anything=1)
