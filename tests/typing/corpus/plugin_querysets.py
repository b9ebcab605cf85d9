"""What querysets give."""

from datalayer.documents import BusinessDocument, Q, QuerySet
from datalayer.fields import IntField, ListField, StringField


class User(BusinessDocument):
    email = StringField(required=True)
    name = StringField()
    age = IntField()
    tags = ListField(StringField())


reveal_type(User.objects)  # type: QuerySet[User]
reveal_type(User.objects())  # type: QuerySet[User]
reveal_type(User.objects(age=3).filter(Q(name="Ada") | Q(name=None)))  # type: QuerySet[User]
reveal_type(User.objects.first())  # type: User | None
reveal_type(User.objects.get(email="ada@example.com"))  # type: User
reveal_type(User.objects.count())  # type: int
reveal_type(User.objects[0])  # type: User
reveal_type(User.objects[:10])  # type: QuerySet[User]
reveal_type(User.objects.order_by("-age").limit(3).only("email"))  # type: QuerySet[User]
reveal_type(User.objects.create(email="ada@example.com"))  # type: User
reveal_type(User.objects.in_bulk([User().id]))  # type: dict[Any, User]
reveal_type(User.objects.aggregate([{"$count": "users"}]).next())  # type: dict[str, Any]
reveal_type(User.objects.as_pymongo().first())  # type: dict[str, Any] | None
reveal_type(User.objects.scalar("email"))  # type: ValuesQuerySet[User, str]
reveal_type(User.objects.scalar("email", "age"))  # type: ValuesQuerySet[User, tuple[str, int | None]]
reveal_type(User.objects.scalar("email").first())  # type: str | None
reveal_type(list(User.objects.values_list("age")))  # type: list[int | None]
reveal_type(User.objects.distinct("tags"))  # type: list[str]
reveal_type(User.objects.distinct("age"))  # type: list[int]
reveal_type(User.objects.update(set__name="Ada"))  # type: int
reveal_type(User.objects(age=1).modify(inc__age=1))  # type: User | None
reveal_type(User.objects(email="x").upsert_one(set__name="Ada"))  # type: User
reveal_type(User.objects.delete())  # type: int
reveal_type(User.objects.insert([User(email="x")]))  # type: list[User]
reveal_type(User.objects.get_or_404(email="x"))  # type: User
reveal_type(User.objects.paginate(page=1, per_page=10).items)  # type: list[User]
for user in User.objects:
    reveal_type(user)  # type: User


def adults(users: QuerySet[User]) -> QuerySet[User]:
    return users.filter(age__gte=18)


def email_of_first() -> str:
    user = User.objects.first()
    return user.email  # error: Item "None" of "User | None" has no attribute "email"


User.objects.nosuch()  # error: has no attribute "nosuch"
User.objects.get(User.objects)
adults(User.objects.scalar("email"))  # error: incompatible type "ValuesQuerySet[User, str]"
