"""What querysets give."""

from datalayer.documents import BusinessDocument, Q, QuerySet
from datalayer.fields import IntField, ListField, StringField


class User(BusinessDocument):
    email = StringField(required=True)
    name = StringField()
    age = IntField()
    tags = ListField(StringField())


reveal_type(User.objects)  # is: QuerySet[User]
reveal_type(User.objects())  # is: QuerySet[User]
reveal_type(User.objects(age=3).filter(Q(name="Ada") | Q(name=None)))  # is: QuerySet[User]
reveal_type(User.objects.first())  # is: User | None
reveal_type(User.objects.get(email="ada@example.com"))  # is: User
reveal_type(User.objects.count())  # is: int
reveal_type(User.objects[0])  # is: User
reveal_type(User.objects[:10])  # is: QuerySet[User]
reveal_type(User.objects.order_by("-age").limit(3).only("email"))  # is: QuerySet[User]
reveal_type(User.objects.create(email="ada@example.com"))  # is: User
reveal_type(User.objects.in_bulk([User().id]))  # is: dict[Any, User]
reveal_type(User.objects.aggregate([{"$count": "users"}]).next())  # is: dict[str, Any]
reveal_type(User.objects.as_pymongo().first())  # is: dict[str, Any] | None
reveal_type(User.objects.scalar("email"))  # is: ValuesQuerySet[User, str]
pairs = User.objects.scalar("email", "age")
reveal_type(pairs)  # is: ValuesQuerySet[User, tuple[str, int | None]]
reveal_type(User.objects.scalar("email").first())  # is: str | None
reveal_type(list(User.objects.values_list("age")))  # is: list[int | None]
reveal_type(User.objects.distinct("tags"))  # is: list[str]
reveal_type(User.objects.distinct("age"))  # is: list[int]
reveal_type(User.objects.update(set__name="Ada"))  # is: int
reveal_type(User.objects(age=1).modify(inc__age=1))  # is: User | None
reveal_type(User.objects(email="x").upsert_one(set__name="Ada"))  # is: User
reveal_type(User.objects.delete())  # is: int
reveal_type(User.objects.insert([User(email="x")]))  # is: list[User]
reveal_type(User.objects.get_or_404(email="x"))  # is: User
reveal_type(User.objects.paginate(page=1, per_page=10).items)  # is: list[User]
for user in User.objects:
    reveal_type(user)  # is: User


def adults(users: QuerySet[User]) -> QuerySet[User]:
    return users.filter(age__gte=18)


def email_of_first() -> str:
    user = User.objects.first()
    return user.email  # error: Item "None" of "User | None" has no attribute "email"


User.objects.nosuch()  # error: has no attribute "nosuch"
User.objects.get(User.objects)
adults(User.objects.scalar("email"))  # error: incompatible type "ValuesQuerySet[User, str]"
