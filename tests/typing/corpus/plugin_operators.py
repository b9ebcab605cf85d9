"""Names of fields with operators, in filters and updates."""

from datetime import datetime
from re import compile

from datalayer.documents import BusinessDocument, EmbeddedDocument, Q
from datalayer.fields import (
    DateTimeField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    MoneyField,
    PointField,
    StringField,
)


class Address(EmbeddedDocument):
    city = StringField(required=True)
    number = IntField()


class Pet(EmbeddedDocument):
    name = StringField()
    toys = ListField(StringField())


class User(BusinessDocument):
    email = StringField(required=True, db_field="e")
    age = IntField()
    born = DateTimeField()
    purse = MoneyField()
    size = IntField()
    tags = ListField(StringField())
    home = PointField()
    address = EmbeddedDocumentField(Address)
    pets = EmbeddedDocumentListField(Pet)


users = User.objects
users(email="x", pk="1", id="1", age__gte=3, age__ne=None, age__in=[1, 2], age__exists=True)
users(email__icontains="x", email=compile("^x"), email__not__startswith="x", size__=3)
users(born__lt=datetime(2026, 1, 1), purse__gt=3, home__near=[1, 2], __raw__={"a": 1})
users(address__city="x", address__number__gt=3, address={"city": "x"})
users(pets__name="x", pets__0__name="x", pets__toys="x", pets__toys__size=3)
users.filter(Q(age__gt=3) & (Q(email="x") | Q(tags="x")), age__lt=9)
users.update(set__age=3, unset__born=True, inc__size=1, push__tags="x", pull__tags="x")
users.update(set__address=Address(city="x"), set__address__city="x", push__pets=Pet(name="x"))
users.update(add_to_set__tags=["x"], pop__tags=1, min__age=3, set_on_insert__email="x")
users.update(age=3, pets__S__name="x", mul__size=2, rename__age="years", full_result=True)
users.only("email", "address.city", "pets__name").exclude("id").order_by("-age", "+email", "pk")

users(emial="x")  # error: has no field "emial"; did you mean "email"?
users(agee__gte=3)  # error: has no field "agee"; did you mean "age"?
users(age__gte="x")  # error: incompatible type "str"; expected "int | None"
users(age="x")  # error: incompatible type "str"; expected "int | None"
users(age__in=["x"])  # error: incompatible type "str"; expected "int | None"
users(age__in=3)  # error: incompatible type "int"; expected "Iterable[int | None]"
users(age__exists="x")  # error: incompatible type "str"; expected "bool"
users(email__icontains=3)  # error: incompatible type "int"; expected "str"
users(email=3)  # error: incompatible type "int"; expected "str | Pattern[str] | None"
users(born=3)  # error: incompatible type "int"; expected "date | None"
users(address__town="x")  # error: has no field "town"
users(address__number="x")  # error: incompatible type "str"; expected "int | None"
users(address__city__name="x")  # error: has no field "name"
users(pets__nmae="x")  # error: has no field "nmae"; did you mean "name"?
users(age__bigger=3)  # error: has no field "bigger"
users.filter(emial="x")  # error: has no field "emial"; did you mean "email"?
users.get(emial="x")  # error: has no field "emial"; did you mean "email"?
users.filter(Q(emial="x") | Q(age=3))  # error: has no field "emial"; did you mean "email"?
users.filter(Q(email="x") & Q(age__gt="x"), age=3)  # error: incompatible type "str"
users.get(Q(emial="x"))  # error: has no field "emial"; did you mean "email"?
users.update(set__emial="x")  # error: has no field "emial"; did you mean "email"?
users.update(set__age="x")  # error: incompatible type "str"; expected "int | None"
users.update(inc__age="a")  # error: incompatible type "str"; expected "int"
users.update(push__tags=3)  # error: incompatible type "int"; expected "str | list[str]"
users.update(set__address__town="x")  # error: has no field "town"
users.update_one(set__age="x")  # error: incompatible type "str"; expected "int | None"
users.modify(set__age="x")  # error: incompatible type "str"; expected "int | None"
users.upsert_one(set__emial="x")  # error: has no field "emial"; did you mean "email"?
users.only("emial")  # error: has no field "emial"; did you mean "email"?
users.exclude("emial")  # error: has no field "emial"; did you mean "email"?
users.order_by("-emial")  # error: has no field "emial"; did you mean "email"?
users.scalar("emial")  # error: has no field "emial"; did you mean "email"?
users.values_list("email", "agee")  # error: has no field "agee"; did you mean "age"?
users.distinct("emial")  # error: has no field "emial"; did you mean "email"?
users.order_by("address.town")  # error: has no field "town"

user = users.get(pk="1")
user.update(set__age=3)
user.update(set__emial="x")  # error: has no field "emial"; did you mean "email"?
user.modify({"age": 3}, set__age=4)
user.modify(inc__age="x")  # error: incompatible type "str"; expected "int"
user.modify(age__x=1)  # error: has no field "x"
