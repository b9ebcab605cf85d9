"""Reading a queryset: what is asked of it inside a loop leaves the loop alone, what is asked of it
after reading is heard, and the plain ways send one command."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from bson import Code, ObjectId
from fresh_databases import emptied, model_registry
from mongoengine.errors import InvalidQueryError
from mongoengine.fields import IntField, ListField, ReferenceField, StringField
from mongoengine.queryset import queryset_manager
from observing import SentCommands, commands_sent
from pymongo import ReadPreference
from pymongo.errors import OperationFailure

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import BusinessDocument, QuerySet
from datalayer.errors import DeadlineExceededError
from datalayer.settings import Settings

with model_registry():

    class Page(BusinessDocument):
        n = IntField(unique=True)
        t = StringField()

        meta = {"collection": "pages", "indexes": ["t"]}

    class Latest(BusinessDocument):
        n = IntField()

        meta = {"collection": "latest", "ordering": ["-n"]}

    class Animal(BusinessDocument):
        name = StringField()

        meta = {"allow_inheritance": True, "collection": "animals"}

    class Dog(Animal):
        pass

    class Owner(BusinessDocument):
        animals = ListField(ReferenceField("Visible"))

    class Visible(BusinessDocument):
        hidden = IntField(default=0)

        @queryset_manager
        def objects(doc_cls: Any, queryset: Any) -> Any:
            return queryset.filter(hidden=0)


MODELS = (Page, Latest, Animal, Dog, Owner, Visible)


@pytest.fixture(scope="module")
def listener() -> Iterator[SentCommands]:
    with commands_sent() as sent:
        yield sent


@pytest.fixture(scope="module")
def shared(listener: SentCommands, shared: Settings) -> Settings:
    """Connected where all commands are heard."""
    return shared


@pytest.fixture(autouse=True)
def sent(shared: Settings, listener: SentCommands) -> SentCommands:
    """250 pages, and what is sent from then on."""
    emptied(shared)
    Page.objects.insert([Page(n=n, t=str(n % 2)) for n in range(250)])
    listener.clear()
    return listener


def test_as_pymongo_gives_the_documents_behind_the_first_batch_too() -> None:
    assert [page["n"] for page in Page.objects.as_pymongo()] == list(range(250))


def test_the_end_of_a_cursor_that_holds_all_asks_nothing_of_a_database_that_is_away() -> None:
    there = Page.objects.using("database1").no_cache()
    there.insert([Page(n=n) for n in range(2)])
    breaker = registry.connection("database1").breaker
    assert breaker is not None
    for queryset in (there, there.as_pymongo()):
        pages = iter(queryset)
        assert [next(pages), next(pages)]
        breaker.open()
        try:
            assert list(pages) == []
        finally:
            breaker.reset()


# In a loop

ASKED: dict[str, Callable[[Any], Any]] = {
    "count": lambda q: q.count(),
    "count of what is shown": lambda q: q.count(with_limit_and_skip=True),
    "truth": bool,
    "repr": repr,
    "first": lambda q: q.first(),
    "index": lambda q: q[3],
    "slice": lambda q: list(q[:3]),
    "contains": lambda q: None in q,
    "list": list,
    "refined": lambda q: list(q.filter(n__lt=3)),
    "explain": lambda q: q.explain(),
    "distinct": lambda q: q.distinct("t"),
    "sum": lambda q: q.sum("n"),
    "average": lambda q: q.average("n"),
    "aggregate": lambda q: list(q.aggregate([{"$count": "n"}])),
    "in_bulk": lambda q: q.in_bulk([ObjectId()]),
    "item_frequencies": lambda q: q.order_by().item_frequencies("t"),
    "to_json": lambda q: q.to_json(),
    "update": lambda q: q.update(set__t="x"),
    "update_one": lambda q: q.update_one(set__t="x"),
    "modify": lambda q: q.modify(set__t="x"),
    "get": lambda q: q.get(n=7),
    "clone": lambda q: next(iter(q.clone())),
    "copy": lambda q: next(iter(copy.copy(q))),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_inside_a_loop_leaves_the_loop_alone(asked: str) -> None:
    by_number = Page.objects.order_by("n")
    for queryset, after in product((by_number, by_number.no_cache()), (5, 150)):
        seen = []
        for page in queryset:
            seen.append(page.n)
            if len(seen) == after:
                ASKED[asked](queryset)
            if len(seen) > 250:
                break
        assert seen == list(range(250))


def test_len_inside_a_loop_counts_all_and_repeats_none() -> None:
    queryset = Page.objects.order_by("n")
    assert [(page.n, len(queryset)) for page in queryset] == [(n, 250) for n in range(250)]


def test_counting_in_every_round_ends() -> None:
    queryset = Page.objects.order_by("n")
    assert [queryset.count() for _ in queryset] == [250] * 250


def test_loops_over_one_queryset_go_on_side_by_side() -> None:
    for queryset in (Page.objects.order_by("n"), Page.objects.order_by("n").no_cache()):
        pairs = [(one.n, other.n) for one, other in zip(queryset, queryset, strict=True)]
        assert pairs == [(n, n) for n in range(250)]


def test_rewinding_reads_anew_without_repeating() -> None:
    queryset = Page.objects.order_by("n")
    next(iter(queryset))
    Page.objects(n=0).delete()
    queryset.rewind()
    assert [page.n for page in queryset] == list(range(1, 250))


def test_a_queryset_that_was_read_in_part_is_pickled_whole() -> None:
    queryset = Page.objects.order_by("n")
    next(iter(queryset))
    assert [page.n for page in pickle.loads(pickle.dumps(queryset))] == list(range(250))


def test_after_an_error_a_queryset_is_read_whole() -> None:
    queryset = Page.objects.order_by("n")
    failing = {"failCommands": ["getMore"], "errorCode": 2}
    admin = db.database.client.admin
    admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=failing)
    with pytest.raises(OperationFailure):
        list(queryset)
    assert [page.n for page in queryset] == list(range(250))


# After reading

OPTIONS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "filter": (lambda q: q.filter(n=1), {"filter": {"n": 1}}),
    "where": (lambda q: q.where("this.n == 1"), {"filter": {"$where": Code("this.n == 1")}}),
    "hint": (lambda q: q.hint([("t", 1)]), {"hint": {"t": 1}}),
    "limit": (lambda q: q.limit(2), {"limit": 2}),
    "skip": (lambda q: q.skip(2), {"skip": 2}),
    "slice": (lambda q: q[2:5], {"skip": 2, "limit": 3}),
    "order_by": (lambda q: q.order_by("-n"), {"sort": {"n": -1}}),
    "only": (lambda q: q.only("n"), {"projection": {"n": 1}}),
    "exclude": (lambda q: q.exclude("n"), {"projection": {"n": 0}}),
    "scalar": (lambda q: q.scalar("n"), {"projection": {"n": 1}}),
    "all_fields": (lambda q: q.only("n").all_fields(), {"projection": None}),
    "batch_size": (lambda q: q.batch_size(7), {"batchSize": 7}),
    "comment": (lambda q: q.comment("why"), {"comment": "why"}),
    "collation": (lambda q: q.collation({"locale": "en"}), {"collation": {"locale": "en"}}),
    "timeout": (lambda q: q.timeout(False), {"noCursorTimeout": True}),
    "allow_disk_use": (lambda q: q.allow_disk_use(True), {"allowDiskUse": True}),
    "read concern": (
        lambda q: q.read_concern({"level": "majority"}),
        {"readConcern": {"level": "majority"}},
    ),
    "read preference": (
        lambda q: q.read_preference(ReadPreference.NEAREST),
        {"$readPreference": {"mode": "nearest"}},
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_refinement_after_reading_is_heard(sent: SentCommands, name: str) -> None:
    refine, expected = OPTIONS[name]
    whole, part = Page.objects, Page.objects
    list(whole)
    next(iter(part))
    for queryset in (whole, part):
        sent.clear()
        list(refine(queryset))
        assert {option: sent.commands[0].get(option) for option in expected} == expected


@pytest.mark.parametrize("name", OPTIONS)
def test_a_refinement_stays_when_another_follows(sent: SentCommands, name: str) -> None:
    refine, expected = OPTIONS[name]
    list(refine(Page.objects).filter(t__ne="z").no_cache().cache())
    command = sent.commands[0]
    assert {option: command.get(option) for option in expected if option != "filter"} == {
        option: value for option, value in expected.items() if option != "filter"
    }


def test_a_refined_queryset_does_not_show_itself_as_being_read() -> None:
    queryset = Page.objects(n__lt=1)
    list(queryset)
    assert repr(queryset.filter(n__lt=2)).startswith("[<Page")


def test_clearing_the_models_ordering_after_reading_is_heard() -> None:
    Latest.objects.insert([Latest(n=n) for n in (1, 3, 2)])
    queryset = Latest.objects
    assert [each.n for each in queryset] == [3, 2, 1]
    assert [each.n for each in queryset.order_by()] == [1, 3, 2]


def test_leaving_derived_classes_out_after_reading_is_heard() -> None:
    Animal(name="a").save()
    Dog(name="d").save()
    queryset = Animal.objects.order_by("name")
    assert [each.name for each in queryset] == ["a", "d"]
    assert [each.name for each in queryset.no_sub_classes()] == ["a"]
    assert queryset.delete() == 1


def test_another_database_after_reading_is_heard() -> None:
    queryset = Page.objects
    list(queryset)
    assert list(queryset.using("database1")) == []
    assert queryset.using("database1").sum("n") == 0


def test_no_cache_after_reading_reads_anew() -> None:
    queryset = Page.objects.order_by("n")
    list(queryset)
    Page.objects(n=0).delete()
    assert next(iter(queryset.no_cache())).n == 1


SLOW: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "after reading": lambda q: list(q.filter(n__lt=200)),
    "first": lambda q: q.first(),
    "count": lambda q: q.count(),
    "distinct": lambda q: q.distinct("n"),
    "update of a slice": lambda q: q[:200].update(set__t="x"),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_time_limit_ends_what_takes_longer(name: str) -> None:
    slow = Page.objects.where("sleep(20) || this.n > 100").max_time_ms(100)
    with pytest.raises(DeadlineExceededError):
        SLOW[name](slow)


def test_a_time_limit_is_a_whole_number() -> None:
    with pytest.raises(TypeError):
        Page.objects.max_time_ms("long")  # type: ignore[arg-type]


# One document


def test_an_index_that_iterating_does_not_reach_is_an_error() -> None:
    for queryset in (Page.objects.none(), Page.objects[0:0], Page.objects(n=-1)):
        with pytest.raises(IndexError):
            queryset[0]
    with pytest.raises(IndexError):
        Page.objects.limit(2)[2]
    with pytest.raises(IndexError):
        Page.objects[-1]


def test_get_takes_the_one_document_that_a_limit_leaves() -> None:
    assert Page.objects.order_by("-n").limit(1).get().n == 249
    assert Page.objects.order_by("n").skip(249).get().n == 249


def test_get_reads_two_documents_in_one_batch_at_most(sent: SentCommands) -> None:
    with pytest.raises(Page.MultipleObjectsReturned, match="2 or more items returned"):
        Page.objects.get(t="1")
    (asked,) = sent.commands
    assert (asked["limit"], asked["singleBatch"]) == (2, True)


def test_get_leaves_the_queryset_that_was_asked_alone(sent: SentCommands) -> None:
    pages = Page.objects(n=3)
    assert pages.get() == pages.get(t="1") == pages.first()
    assert [page.n for page in pages] == [3]
    assert sent.names == ["find"] * 4


def test_a_document_is_found_with_its_id_by_one_command(sent: SentCommands) -> None:
    page = Page.objects.first()
    sent.clear()
    assert Page.objects.with_id(page.id) == page
    assert Page.objects.with_id(ObjectId()) is None
    assert sent.names == ["find"] * 2
    with pytest.raises(InvalidQueryError, match="Cannot use a filter whilst using `with_id`"):
        Page.objects(n=3).with_id(page.id)


def test_get_finds_nothing_in_an_empty_slice() -> None:
    with pytest.raises(Page.DoesNotExist):
        Page.objects[0:0].get(n=3)


def test_a_queryset_of_values_that_are_none_holds_something() -> None:
    Page.objects(n=3).update(unset__t=1)
    assert Page.objects(n=3).scalar("t")


# Counts, and what MongoEngine asks for itself


def test_count_is_that_of_all_pages() -> None:
    assert Page.objects(t="1").limit(10).skip(5).count() == 125


def test_references_in_lists_lead_to_what_the_models_manager_hides() -> None:
    shown, hidden = Visible().save(), Visible(hidden=1).save()
    Owner(animals=[shown, hidden]).save()
    assert [each.hidden for each in Owner.objects.get().animals] == [0, 1]
    assert list(Visible.objects.in_bulk([shown.pk, hidden.pk])) == [shown.pk]


def test_a_queryset_class_of_ones_own_concerns_what_it_shows() -> None:
    class Counting(QuerySet):
        def odd(self) -> Any:
            return self.where("this.n % 2 == 1")

    queryset: Any = Counting(Page, Page._get_collection())
    assert queryset.odd().limit(3).update(set__t="x") == 3
    assert queryset.odd().delete() == 125


# What is sent

PLAIN: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "first": (lambda: Page.objects(n=3).first(), ["find"]),
    "get": (lambda: Page.objects.get(n=3), ["find"]),
    "list": (lambda: list(Page.objects(n__lt=9)), ["find"]),
    "index": (lambda: Page.objects(n=3)[0], ["find"]),
    "count": (lambda: Page.objects(n=3).count(), ["aggregate"]),
    "count of all": (lambda: Page.objects().count(), ["count"]),
    "update": (lambda: Page.objects(n=3).update(set__t="x"), ["update"]),
    "update_one": (lambda: Page.objects(n=3).update_one(set__t="x"), ["update"]),
    "update of a document": (
        lambda: Page(pk="6561f7a5c2f4f0a1b2c3d4e5").update(t="x"),
        ["update"],
    ),
    "modify": (lambda: Page.objects(n=3).modify(set__t="x"), ["findAndModify"]),
    "upsert_one": (lambda: Page.objects(n=3).upsert_one(set__t="x"), ["findAndModify"]),
    "delete": (lambda: Page.objects(n=3).delete(), ["delete"]),
    "delete of where": (lambda: Page.objects.where("this.n == 3").delete(), ["delete"]),
    "delete of nothing": (lambda: Page.objects.none().delete(), []),
    "update of the first": (
        lambda: Page.objects.order_by("n").update_one(t="x"),
        ["findAndModify"],
    ),
    "update of a slice": (lambda: Page.objects[2:4].update(t="x"), ["find", "update"]),
    "sum": (lambda: Page.objects(t="1").sum("n"), ["aggregate"]),
    "distinct": (lambda: Page.objects(n=3).distinct("n"), ["distinct"]),
}


@pytest.mark.parametrize("name", PLAIN)
def test_no_more_is_sent_than_it_takes(sent: SentCommands, name: str) -> None:
    run, expected = PLAIN[name]
    run()
    assert sent.names == expected
