"""Bases, mixins and subclasses."""

from typing import TypeVar

from datalayer.documents import BusinessDocument, Document
from datalayer.fields import IntField, StringField, UTCDateTimeField


class Deletable:
    deleted_at = UTCDateTimeField()

    def is_deleted(self) -> bool:
        return self.deleted_at is not None


class Named(BusinessDocument):
    name = StringField(required=True)
    meta = {"abstract": True}


class Animal(Named, Deletable):
    legs = IntField(default=4)
    meta = {"allow_inheritance": True}


class Dog(Animal):
    tricks = IntField(default=0)


class Key(Document):
    code = StringField(primary_key=True)


class Numbered(Document):
    id = IntField(primary_key=True)


Model = TypeVar("Model", bound=Named)


def find(model: type[Model], name: str) -> Model | None:
    return model.objects(name=name).first()


reveal_type(find(Dog, "Rex"))  # is: Dog | None
reveal_type(Dog.objects)  # is: QuerySet[Dog]
reveal_type(Dog(name="Rex", legs=3, tricks=1).deleted_at)  # is: datetime | None
reveal_type(Dog().created_at)  # is: datetime
reveal_type(Key(code="x").code)  # is: str
reveal_type(Key(code="x").pk)  # is: Any
reveal_type(Numbered(id=3).id)  # is: int
Numbered(id="x")  # error: incompatible type "str"; expected "int"
Dog(name="Rex", deleted_at=None)
Dog.objects(name="Rex", legs=3, deleted_at=None, created_at__gt=Dog().created_at)
Animal.objects(tricks=3)
Animal.objects(legs="x")  # error: incompatible type "str"; expected "int | None"
Key.objects(pk="x")
Key.objects(pk=3)  # error: incompatible type "int"; expected "str | Pattern[str] | None"
Key.objects(id="x")  # error: has no field "id"
Animal(tricks=3)  # error: has no field "tricks"
Dog(legs="x")  # error: incompatible type "str"; expected "int | None"
Dog().legs = "x"  # error: expression has type "str"
