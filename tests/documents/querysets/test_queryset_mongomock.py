"""Over mongomock too, operations concern what iterating shows, as far as it knows refinements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fresh_databases import model_registry
from mongoengine.errors import OperationError
from mongoengine.fields import IntField

from datalayer import Settings, db
from datalayer.documents import BusinessDocument

with model_registry():

    class Coin(BusinessDocument):
        n = IntField()
        x = IntField()


@pytest.fixture(autouse=True)
def coins() -> Iterator[None]:
    in_memory = {alias: f"mongomock://{alias}" for alias in ("default", "database1")}
    with model_registry(Coin):
        db.connect_all(Settings(databases=in_memory))
        Coin.objects.delete()
        Coin.objects.insert([Coin(n=n) for n in range(10)])
        yield


REFINEMENTS: dict[str, tuple[Callable[[Any], Any], list[int]]] = {
    "filter": (lambda q: q.filter(n__lt=2).order_by("n"), [0, 1]),
    "limit": (lambda q: q.order_by("n").limit(2), [0, 1]),
    "skip": (lambda q: q.order_by("n").skip(8), [8, 9]),
    "slice": (lambda q: q.order_by("-n")[2:4], [7, 6]),
    "empty slice": (lambda q: q[0:0], []),
    "none": (lambda q: q.none(), []),
    "hint": (lambda q: q.filter(n=3).hint([("_id", 1)]), [3]),
    "no_cache": (lambda q: q.filter(n=3).no_cache(), [3]),
    "read_ahead": (lambda q: q.filter(n=3).read_ahead(), [3]),
}


@pytest.mark.parametrize("name", REFINEMENTS)
def test_operations_concern_what_iterating_shows(name: str) -> None:
    refine, expected = REFINEMENTS[name]
    assert [coin.n for coin in refine(Coin.objects)] == expected
    assert refine(Coin.objects).count(with_limit_and_skip=True) == len(expected)
    assert sorted(refine(Coin.objects).distinct("n")) == sorted(expected)
    assert refine(Coin.objects).sum("n") == sum(expected)
    assert [raw["n"] for raw in refine(Coin.objects).aggregate([])] == expected
    assert bool(refine(Coin.objects)) is bool(expected)
    assert refine(Coin.objects).update_one(set__x=1) == min(1, len(expected))
    assert [coin.n for coin in Coin.objects(x=1)] == expected[:1]
    found = refine(Coin.objects).modify(set__x=2)
    assert ([] if found is None else [found.n]) == expected[:1]
    assert refine(Coin.objects).update(set__x=3) == len(expected)
    assert sorted(coin.n for coin in Coin.objects(x=3)) == sorted(expected)
    assert refine(Coin.objects).delete() == len(expected)
    assert sorted(coin.n for coin in Coin.objects) == sorted(set(range(10)) - set(expected))


def test_an_upsert_of_what_no_filter_says_is_refused() -> None:
    with pytest.raises(OperationError, match="none"):
        Coin.objects.none().upsert_one(set__x=1)
    assert Coin.objects(n=3).upsert_one(set__n=33).n == 33


def test_pages_follow_each_other() -> None:
    assert [coin.n for coin in Coin.objects.order_by("n").paginate(2, 4)] == [4, 5, 6, 7]
    page = Coin.objects.order_by("-n").paginate_after(per_page=4)
    following = Coin.objects.order_by("-n").paginate_after(page.next, 4)
    assert [coin.n for coin in following] == [5, 4, 3, 2]
