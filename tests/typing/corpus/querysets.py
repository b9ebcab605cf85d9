"""What querysets give."""

from datalayer.documents import Document, QuerySet
from datalayer.fields import IntField, StringField


class User(Document):
    name = StringField(required=True)
    age = IntField()
    meta = {"db_alias": "default"}


class UserQuerySet(QuerySet["Customer"]):
    def adults(self) -> "UserQuerySet":
        return self.filter(age__gte=18)


class Customer(Document):
    age = IntField()
    meta = {"db_alias": "default", "queryset_class": UserQuerySet}


def asked() -> None:
    reveal_type(User.objects)  # is: QuerySet[User]
    reveal_type(User.objects(name="Ann"))  # is: QuerySet[User]
    reveal_type(User.objects.first())  # is: User | None
    reveal_type(User.objects.get(name="Ann"))  # is: User
    reveal_type(User.objects.count())  # is: int
    reveal_type(User.objects[0])  # is: User
    reveal_type(User.objects[:3])  # is: QuerySet[User]
    reveal_type(User.objects.filter(age=3).order_by("name").limit(3))  # is: QuerySet[User]
    reveal_type(User.objects.only("name").first())  # is: User | None
    reveal_type(User.objects.create(name="Ann"))  # is: User
    reveal_type(User.objects.update(set__name="Ann"))  # is: int
    reveal_type(User.objects.delete())  # is: int
    reveal_type(list(User.objects))  # is: list[User]
    reveal_type([each.name for each in User.objects])  # is: list[str]
    for row in User.objects.aggregate([{"$match": {}}]):
        reveal_type(row)  # is: dict[str, Any]
    User.objects.frist()  # error: has no attribute "frist" || attribute "frist"


def caught() -> None:
    try:
        User.objects.get(name="Ann")
    except (User.DoesNotExist, User.MultipleObjectsReturned) as exc:
        print(exc)


def saved(user: User) -> None:
    reveal_type(user.save())  # is: User
    reveal_type(user.reload())  # is: User
    reveal_type(User.from_input({}, allow=["name"]))  # is: User
    reveal_type(user.to_json())  # is: str
    reveal_type(User.json_schema())  # is: dict[str, Any]
