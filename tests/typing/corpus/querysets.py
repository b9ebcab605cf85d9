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
    reveal_type(User.objects)  # type: QuerySet[User]
    reveal_type(User.objects(name="Ann"))  # type: QuerySet[User]
    reveal_type(User.objects.first())  # type: User | None
    reveal_type(User.objects.get(name="Ann"))  # type: User
    reveal_type(User.objects.count())  # type: int
    reveal_type(User.objects[0])  # type: User
    reveal_type(User.objects[:3])  # type: QuerySet[User]
    reveal_type(User.objects.filter(age=3).order_by("name").limit(3))  # type: QuerySet[User]
    reveal_type(User.objects.only("name").first())  # type: User | None
    reveal_type(User.objects.create(name="Ann"))  # type: User
    reveal_type(User.objects.update(set__name="Ann"))  # type: int
    reveal_type(User.objects.delete())  # type: int
    reveal_type(list(User.objects))  # type: list[User]
    reveal_type([each.name for each in User.objects])  # type: list[str]
    for row in User.objects.aggregate([{"$match": {}}]):
        reveal_type(row)  # type: dict[str, Any]
    User.objects.frist()  # error: has no attribute "frist" || attribute "frist"


def caught() -> None:
    try:
        User.objects.get(name="Ann")
    except (User.DoesNotExist, User.MultipleObjectsReturned) as exc:
        print(exc)


def saved(user: User) -> None:
    reveal_type(user.save())  # type: User
    reveal_type(user.reload())  # type: User
    reveal_type(User.from_input({}, allow=["name"]))  # type: User
    reveal_type(user.to_json())  # type: str
    reveal_type(User.json_schema())  # type: dict[str, Any]
