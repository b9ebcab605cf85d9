"""Lists and maps."""

from datalayer.documents import Document
from datalayer.fields import DictField, IntField, ListField, MapField, SortedListField, StringField


class Page(Document):
    tags = ListField(StringField())
    visits = ListField(IntField(), default=list)
    matrix = ListField(ListField(IntField()))
    ranks = SortedListField(IntField())
    counts = MapField(IntField())
    settings = DictField()
    names = DictField(StringField())
    mixed = ListField()


def read(page: Page) -> None:
    reveal_type(page.tags)  # is: list[str]
    reveal_type(page.tags[0])  # is: str
    reveal_type(page.visits)  # is: list[int]
    reveal_type(page.matrix)  # is: list[list[int]]
    reveal_type(page.ranks)  # is: list[int]
    reveal_type(page.counts)  # is: dict[str, int]
    reveal_type(page.settings)  # is: dict[str, Any]
    reveal_type(page.names["a"])  # is: str
    reveal_type(page.mixed)  # is: list[Any]
    for tag in page.tags:
        reveal_type(tag)  # is: str


def write(page: Page) -> None:
    page.tags = ["a", "b"]
    page.tags.append("c")
    page.counts["a"] = 1
    page.counts = {"a": 1}
    page.settings = {"anything": object()}
    page.tags = "a"  # error: expression has type "str"
    page.tags = [1]  # error: incompatible type "int"; expected "str"
    page.tags.append(1)  # error: incompatible type "int"; expected "str"
    page.counts["a"] = "1"  # error: expression has type "str"
    page.counts = {"a": "1"}  # error: incompatible type "str": "str"; expected "str": "int"


def ask() -> None:
    Page.objects(tags="a", tags__0="a", tags__size=2, tags__in=["a"], tags__all=["a", "b"])
    Page.objects(counts__a=1, counts__b__gt=2, settings__theme__dark=True, mixed__0__x=1)
    Page.objects(matrix__0__1=1)
    Page.objects(tags=1)  # error: incompatible type "int"
    Page.objects(counts__a="1")  # error: incompatible type "str"; expected "int | None"
    Page.objects(tags__size="2")  # error: incompatible type "str"; expected "int"
    Page.objects(tags__colour="a")  # error: has no field "colour"
    Page.objects.update(push__tags="a", add_to_set__tags=["a", "b"], pull__tags="a")
    Page.objects.update(push__tags=1)  # error: incompatible type "int"; expected "str | list[str]"
    Page.objects.update(
        set__counts__a="1",  # error: incompatible type "str"; expected "int"
        inc__counts__b=1,
    )
