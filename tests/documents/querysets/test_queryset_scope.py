"""What an operation on a queryset concerns is what iterating over the queryset shows: for every
refinement, made before and after reading, and every operation."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from fresh_databases import connected, model_registry, settings_for
from mongoengine.errors import OperationError
from mongoengine.fields import (
    GeoPointField,
    IntField,
    ListField,
    PointField,
    PolygonField,
    StringField,
)
from mongoengine.queryset.visitor import Q
from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.documents import BusinessDocument
from datalayer.embedded import EmbeddedMongo
from datalayer.settings import Settings

with model_registry():

    class Item(BusinessDocument):
        id = IntField(primary_key=True)
        n = IntField()
        t = StringField()
        x = IntField()
        even = IntField()
        tags = ListField(IntField())
        place = PointField()
        area = PolygonField()
        corner = GeoPointField()

        meta = {
            "collection": "items",
            "indexes": [
                {"fields": ["$t"]},
                {"fields": ["n"]},
                {"fields": ["even"], "sparse": True, "name": "even_sparse"},
                {"fields": [("place", "2dsphere")]},
                {"fields": [("area", "2dsphere")]},
                {"fields": [("corner", "2d")]},
            ],
        }


@pytest.fixture(autouse=True, scope="module")
def items(mongod: EmbeddedMongo) -> Iterator[Settings]:
    global is_filled  # noqa: PLW0603
    is_filled = False
    with model_registry(Item), connected(settings_for(mongod)) as made:
        yield made


is_filled = False


def fill() -> None:
    """Ten documents: 0 to 9, the odd ones "Red Cat", the even ones in a sparse index."""
    global is_filled  # noqa: PLW0603 # what nobody has changed needs no filling
    if is_filled:
        return
    is_filled = True
    Item._get_collection().delete_many({})
    Item._get_collection().insert_many(
        {
            "_id": 100 + n,
            "n": n,
            "t": "Red Cat" if n % 2 else str(n),
            "tags": [n, n],
            "place": {"type": "Point", "coordinates": [n, 0]},
            "area": {"type": "Polygon", "coordinates": [square(n)]},
            "corner": [n, 0],
            **({} if n % 2 else {"even": n}),
        }
        for n in range(10)
    )


def square(n: int) -> list[list[int]]:
    return [[n, 0], [n + 1, 0], [n + 1, 1], [n, 1], [n, 0]]


def kept() -> set[int]:
    return {raw["n"] for raw in Item._get_collection().find()}


def changed() -> set[int]:
    return {raw["n"] for raw in Item._get_collection().find({"x": {"$exists": True}})}


def shown(queryset: Any) -> list[int]:
    """The ``n`` of what iterating shows, in its order."""
    return [n_of(document) for document in queryset]


def n_of(document: Any) -> int:
    if isinstance(document, dict):
        return int(document["_id"]) - 100
    return int(document if isinstance(document, int) else document.pk - 100)


IGNORING_CASE = {"locale": "en", "strength": 2}
BY_NUMBER = {"locale": "en", "numericOrdering": True}
Refinement = Callable[[Any], Any]

# What it shows, of a queryset of all; None where pairs with others say enough.
REFINEMENTS: dict[str, tuple[Refinement, list[int] | None]] = {
    "filter": (lambda q: q.filter(n__lt=3).order_by("n"), [0, 1, 2]),
    "Q": (lambda q: q.filter(Q(n=1) | Q(n=4)), [1, 4]),
    "raw": (lambda q: q.filter(__raw__={"n": {"$gt": 7}}), [8, 9]),
    "raw where": (lambda q: q.filter(__raw__={"$where": "this.n == 3"}), [3]),
    "in nothing": (lambda q: q.filter(n__in=[]), []),
    "where": (lambda q: q.where("this.n == 3"), [3]),
    "where nothing": (lambda q: q.where("false"), []),
    "where of many": (lambda q: q.where("this.n > 6"), [7, 8, 9]),
    "search_text": (lambda q: q.search_text("cat").order_by("n"), [1, 3, 5, 7, 9]),
    "search_text unordered": (lambda q: q.search_text("cat").skip(1).limit(2), [3, 5]),
    "search_text of one": (lambda q: q.filter(n=3).search_text("cat"), [3]),
    "search_text without scores": (
        lambda q: q.search_text("cat", text_score=False).order_by("-n").limit(2),
        [9, 7],
    ),
    "search_text by score": (
        lambda q: q.search_text("cat").order_by("$text_score", "n"),
        [1, 3, 5, 7, 9],
    ),
    "near": (lambda q: q.filter(place__near=[4, 0], place__max_distance=120_000), None),
    "near an area": (lambda q: q.filter(area__near=[0, 0], area__max_distance=1_000), [0]),
    "near in the plane": (
        lambda q: q.filter(corner__near=[0, 0], corner__max_distance=2),
        [0, 1, 2],
    ),
    "near among others": (
        lambda q: q.filter(Q(n__lt=9) & Q(place__near=[9, 0]) & Q(n__gt=6)),
        [8, 7],
    ),
    "within": (
        lambda q: q.filter(place__geo_within_box=[(1.5, -1), (3.5, 1)]),
        [2, 3],
    ),
    "collation": (lambda q: q.filter(t="RED CAT").collation(IGNORING_CASE), [1, 3, 5, 7, 9]),
    "collation by number": (lambda q: q.filter(t__lt="7").collation(BY_NUMBER), [0, 2, 4, 6]),
    "hint": (lambda q: q.filter(n=3).hint([("_id", 1)]), [3]),
    "hint by name": (lambda q: q.hint("even_sparse"), [0, 2, 4, 6, 8]),
    "hint backwards": (lambda q: q.hint([("$natural", -1)]), list(range(9, -1, -1))),
    "no hint": (lambda q: q.filter(n=3).hint(None), [3]),
    "limit": (lambda q: q.order_by("n").limit(2), [0, 1]),
    "limit none": (lambda q: q.order_by("n").limit(0), list(range(10))),
    "limit in one batch": (lambda q: q.order_by("-n").limit(-2), [9, 8]),
    "skip": (lambda q: q.order_by("n").skip(8), [8, 9]),
    "skip all": (lambda q: q.skip(10), []),
    "slice": (lambda q: q.order_by("-n")[2:4], [7, 6]),
    "slice from": (lambda q: q.order_by("-n")[7:], [2, 1, 0]),
    "slice to": (lambda q: q.order_by("-n")[:3], [9, 8, 7]),
    "empty slice": (lambda q: q.order_by("n")[0:0], []),
    "empty slice inside": (lambda q: q[3:3], []),
    "order_by": (lambda q: q.order_by("-n"), list(range(9, -1, -1))),
    "order_by raw": (lambda q: q.order_by(__raw__=[("n", -1)]), list(range(9, -1, -1))),
    "order_by nothing": (lambda q: q.order_by(), None),
    "none": (lambda q: q.none(), []),
    "only": (lambda q: q.filter(n__gt=7).only("t"), [8, 9]),
    "exclude": (lambda q: q.filter(n__gt=7).exclude("n"), [8, 9]),
    "scalar": (lambda q: q.filter(n__gt=7).scalar("n"), [8, 9]),
    "as_pymongo": (lambda q: q.filter(n__gt=7).as_pymongo(), [8, 9]),
    "no_cache": (lambda q: q.filter(n__gt=7).no_cache(), [8, 9]),
    "batch_size": (lambda q: q.filter(n__gt=6).batch_size(2), [7, 8, 9]),
    "max_time_ms": (lambda q: q.filter(n__gt=7).max_time_ms(5_000), [8, 9]),
    "comment": (lambda q: q.filter(n__gt=7).comment("why"), [8, 9]),
    "read preference": (
        lambda q: q.filter(n__gt=7).read_preference(ReadPreference.PRIMARY_PREFERRED),
        [8, 9],
    ),
    "read concern": (lambda q: q.filter(n__gt=7).read_concern({"level": "majority"}), [8, 9]),
    "allow_disk_use": (lambda q: q.filter(n__gt=7).allow_disk_use(True), [8, 9]),
    "timeout": (lambda q: q.filter(n__gt=7).timeout(False), [8, 9]),
    "no_dereference": (lambda q: q.filter(n__gt=7).no_dereference(), [8, 9]),
}
MANY = pytest.mark.parametrize("name", REFINEMENTS)


def read(queryset: Any) -> Any:
    list(queryset)
    return queryset


def read_in_part(queryset: Any) -> Any:
    next(iter(queryset), None)
    return queryset


WHEN: dict[str, Callable[[Refinement], Any]] = {
    "of a fresh queryset": lambda refine: refine(Item.objects),
    "of one that was read": lambda refine: refine(read(Item.objects)),
    "of one that was read in part": lambda refine: refine(
        read_in_part(Item.objects.batch_size(2))
    ),
    "and read": lambda refine: read(refine(Item.objects)),
    "and read in part": lambda refine: read_in_part(refine(Item.objects)),
}


@MANY
def test_iterating_shows_what_was_asked_for(name: str) -> None:
    fill()
    refine, expected = REFINEMENTS[name]
    numbers = shown(refine(Item.objects)) if expected is None else expected
    assert {when: shown(make(refine)) for when, make in WHEN.items()} == dict.fromkeys(
        WHEN, numbers
    )


# Each takes a function that makes the queryset, and what iterating over it shows.


def concerns_first(make: Callable[[], Any], numbers: list[int]) -> None:
    found = make().first()
    assert ([] if found is None else [n_of(found)]) == numbers[:1]


def concerns_index(make: Callable[[], Any], numbers: list[int]) -> None:
    for index in {0, len(numbers) - 1} if numbers else ():
        assert n_of(make()[index]) == numbers[index]
    with pytest.raises(IndexError):
        make()[len(numbers)]


def concerns_get(make: Callable[[], Any], numbers: list[int]) -> None:
    if len(numbers) == 1:
        assert n_of(make().get()) == numbers[0]
        return
    with pytest.raises(Item.MultipleObjectsReturned if numbers else Item.DoesNotExist):
        make().get()


def concerns_count(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().count(with_limit_and_skip=True) == len(numbers)


def concerns_count_of_all_pages(make: Callable[[], Any], numbers: list[int]) -> None:
    if not make()._limit and not make()._skip:
        assert make().count() == len(numbers)


def concerns_truth(make: Callable[[], Any], numbers: list[int]) -> None:
    assert bool(make()) is bool(numbers)


def concerns_update(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().update(set__x=1) == len(numbers)
    assert changed() == set(numbers)


def concerns_update_one(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().update_one(set__x=1) == min(1, len(numbers))
    assert changed() == set(numbers[:1])


def concerns_delete(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().delete() == len(numbers)
    assert kept() == set(range(10)) - set(numbers)


def concerns_modify(make: Callable[[], Any], numbers: list[int]) -> None:
    found = make().modify(set__x=1)
    assert ([] if found is None else [n_of(found)]) == numbers[:1]
    assert changed() == set(numbers[:1])


def concerns_modify_to_remove(make: Callable[[], Any], numbers: list[int]) -> None:
    found = make().modify(remove=True)
    assert ([] if found is None else [n_of(found)]) == numbers[:1]
    assert kept() == set(range(10)) - set(numbers[:1])


def concerns_upsert_one(make: Callable[[], Any], numbers: list[int]) -> None:
    try:
        found = make().upsert_one(set__x=1)
    except OperationError:
        assert changed() == set()
        assert Item._get_collection().count_documents({}) == 10
        return
    if numbers:
        assert n_of(found) == numbers[0]
        assert changed() == {numbers[0]}
    else:
        assert Item._get_collection().find_one({"_id": found.pk, "x": 1})
        assert Item._get_collection().count_documents({}) == 11


def concerns_aggregate(make: Callable[[], Any], numbers: list[int]) -> None:
    found = [n_of(raw) for raw in make().aggregate([])]
    assert set(found) == set(numbers)
    assert len(found) == len(numbers)
    if make()._ordering:
        assert found == numbers


def concerns_distinct(make: Callable[[], Any], numbers: list[int]) -> None:
    assert sorted(make().distinct("n")) == sorted(numbers)


def concerns_sum(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().sum("n") == sum(numbers)
    assert make().sum("tags") == 2 * sum(numbers)


def concerns_average(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().average("n") == (sum(numbers) / len(numbers) if numbers else 0)


def concerns_item_frequencies(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().item_frequencies("tags") == dict.fromkeys(numbers, 2)
    assert db.database.client[db.database.name].list_collection_names() == ["items"]


def concerns_in_bulk(make: Callable[[], Any], numbers: list[int]) -> None:
    found = make().in_bulk([*range(100, 110), 999])
    assert {key: n_of(each) for key, each in found.items()} == {100 + n: n for n in numbers}


def concerns_to_json(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().to_json().count('"_id"') == len(numbers)


def concerns_explain(make: Callable[[], Any], numbers: list[int]) -> None:
    assert make().explain()["executionStats"]["nReturned"] == len(numbers)


OPERATIONS = {
    name.removeprefix("concerns_"): function
    for name, function in list(globals().items())
    if name.startswith("concerns_")
}


@MANY
@pytest.mark.parametrize("when", ["of a fresh queryset", "of one that was read"])
def test_every_operation_concerns_what_iterating_shows(name: str, when: str) -> None:
    refine, _ = REFINEMENTS[name]
    fill()
    numbers = shown(refine(Item.objects))
    for operation, concerns in OPERATIONS.items():
        fill()
        changes(operation)
        concerns(lambda: WHEN[when](refine), numbers)


def changes(operation: str) -> None:
    global is_filled  # noqa: PLW0603
    is_filled = is_filled and operation not in CHANGING


CHANGING = {name for name in OPERATIONS if name.startswith(("update", "delete", "mod", "upsert"))}


# Refinements that go together with any other, for random pairs and triples of them.
COMBINED: dict[str, Refinement] = {
    "filter": lambda q: q.filter(n__gte=2),
    "Q": lambda q: q.filter(Q(n__lt=8) & Q(n__ne=5)),
    "raw": lambda q: q.filter(__raw__={"n": {"$ne": 4}}),
    "where": lambda q: q.where("this.n != 3"),
    "search_text": lambda q: q if q._search_text else q.search_text("cat").order_by("n"),
    "near": lambda q: q.filter(place__near=[4, 0], place__max_distance=500_000),
    "collation": lambda q: q.filter(t__lt="S").collation(IGNORING_CASE),
    "hint": lambda q: q.hint("even_sparse"),
    "limit": lambda q: q.limit(3),
    "limit none": lambda q: q.limit(0),
    "skip": lambda q: q.skip(2),
    "slice": lambda q: q[1:4],
    "empty slice": lambda q: q[2:2],
    "order_by": lambda q: q.order_by("-n"),
    "order_by ascending": lambda q: q.order_by("n"),
    "none": lambda q: q.none(),
    "only": lambda q: q.only("t"),
    "exclude": lambda q: q.exclude("t"),
    "scalar": lambda q: q.scalar("id").filter(n__ne=6).as_pymongo(),
    "as_pymongo": lambda q: q.as_pymongo(),
    "no_cache": lambda q: q.no_cache(),
    "batch_size": lambda q: q.batch_size(2),
    "max_time_ms": lambda q: q.max_time_ms(5_000),
    "read preference": lambda q: q.read_preference(ReadPreference.NEAREST),
    "read": read,
    "read in part": read_in_part,
    "counted": lambda q: (q.count(), q)[1],
}


def refined(names: list[str]) -> Any:
    queryset: Any = Item.objects
    for name in names:
        queryset = COMBINED[name](queryset)
    return queryset


def chosen(seed: int) -> list[str]:
    return random.Random(seed).choices(list(COMBINED), k=random.Random(seed).randint(2, 4))


@pytest.mark.parametrize("seed", range(60))
def test_an_operation_concerns_what_iterating_shows_for_refinements_together(seed: int) -> None:
    names = chosen(seed)
    fill()
    try:
        numbers = shown(refined(names))
    except OperationFailure:  # the server takes no hint beside a search, say
        numbers = None
    operations = random.Random(seed).sample(sorted(OPERATIONS), 5)
    for operation in operations:
        fill()
        changes(operation)
        if numbers is not None:
            OPERATIONS[operation](lambda: refined(names), numbers)
        elif operation in CHANGING:
            with suppress(OperationFailure, OperationError):
                OPERATIONS[operation](lambda: refined(names), [])
            assert (changed(), kept()) == (set(), set(range(10)))
