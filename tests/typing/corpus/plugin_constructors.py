"""What constructors take."""

from typing import Any

from bson import ObjectId

from datalayer.documents import BusinessDocument, DynamicDocument, EmbeddedDocument
from datalayer.fields import EmbeddedDocumentField, IntField, ListField, StringField


class Address(EmbeddedDocument):
    city = StringField()


class User(BusinessDocument):
    email = StringField(required=True)
    name = StringField()
    age = IntField()
    tags = ListField(StringField())
    address = EmbeddedDocumentField(Address)


class Counted(User):
    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)


class Named(BusinessDocument):
    name = StringField(required=True)

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class Loose(BusinessDocument):
    name = StringField()
    meta = {"strict": False}


class Open(DynamicDocument):
    name = StringField()


Made = User

User()
User(email="ada@example.com", age=3, tags=["a"], address=Address(city="London"))
User(pk=ObjectId(), name=None)
User(**{"email": "x"})
User(nosuch=1)  # error: has no field "nosuch"
User(emial="x")  # error: has no field "emial"; did you mean "email"?
User(age="x")  # error: incompatible type "str"; expected "int | None"
User(email=None)  # error: incompatible type "None"; expected "str"
User(tags=[1])  # error: incompatible type "int"; expected "str"
User(address=Address(town="London"))  # error: has no field "town"
Made(emial="x")  # error: has no field "emial"; did you mean "email"?
User.objects.create(emial="x")  # error: has no field "emial"; did you mean "email"?
User.objects.create(email=3)  # error: incompatible type "int"; expected "str"
Counted(anything=1)
Named(nmae="x")  # error: Unexpected keyword argument "nmae" for "Named"
Named(name="x")
Loose(anything=1)
Loose(name=1)  # error: incompatible type "int"; expected "str | None"
Open(anything=1)
Open(name=1)  # error: incompatible type "int"; expected "str | None"


def make(model: type[User]) -> User:
    return model(email="x")
