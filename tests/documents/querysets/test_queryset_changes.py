"""Updates, upserts and deletions through refined querysets: batches, documents that change
meanwhile, derived classes, delete rules, signals, other databases, transactions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from fresh_databases import emptied, model_registry
from mongoengine import signals
from mongoengine.errors import NotUniqueError, OperationError
from mongoengine.fields import (
    DictField,
    FileField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)
from mongoengine.queryset import CASCADE, DENY, NULLIFY, PULL

from datalayer import db
from datalayer.documents import BusinessDocument
from datalayer.documents.querysets import deletes, matched_keys, updates
from datalayer.settings import Settings

with model_registry():

    class Task(BusinessDocument):
        n = IntField()
        state = StringField(default="new")
        x = IntField()
        marks = ListField(DictField())

        meta = {"collection": "tasks"}

    class Newest(BusinessDocument):
        n = IntField()
        x = IntField()

        meta = {"collection": "newest", "ordering": ["-n"]}

    class Named(BusinessDocument):
        name = StringField(primary_key=True)
        x = IntField()

    class Vehicle(BusinessDocument):
        name = StringField(unique=True)
        x = IntField()

        meta = {"allow_inheritance": True}

    class Car(Vehicle):
        pass

    class Author(BusinessDocument):
        n = IntField()

    class Book(BusinessDocument):
        n = IntField()
        author = ReferenceField(Author, reverse_delete_rule=CASCADE)

    class Letter(BusinessDocument):
        author = ReferenceField(Author, reverse_delete_rule=NULLIFY)

    class Club(BusinessDocument):
        members = ListField(ReferenceField(Author, reverse_delete_rule=PULL))

    class Contract(BusinessDocument):
        author = ReferenceField(Author, reverse_delete_rule=DENY)

    class Node(BusinessDocument):
        n = IntField()
        parent = ReferenceField("self", reverse_delete_rule=CASCADE)

    class Hidden(BusinessDocument):
        n = IntField()
        is_gone = IntField()

        def delete(self, *args: Any, **kwargs: Any) -> None:
            self.update(set__is_gone=1)

    class Photo(BusinessDocument):
        n = IntField()
        image = FileField()


MODELS = (
    Task, Newest, Named, Vehicle, Car, Author, Book, Letter, Club, Contract, Node, Hidden, Photo,
)  # fmt: skip


@pytest.fixture(autouse=True)
def settings(shared: Settings) -> Settings:
    emptied(shared)
    return shared


@pytest.fixture
def tasks() -> None:
    Task.objects.insert([Task(n=n) for n in range(10)])


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matched_keys, "KEYS_OF_ONE_WRITE", 3)


def numbers(queryset: Any) -> list[int]:
    return sorted(each.n for each in queryset)


def tampered(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[], object]) -> None:
    """Let somebody ``change`` something right after the keys have been read."""
    original = getattr(matched_keys, name)

    def read(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        change()
        return found

    for module in (updates, deletes):
        monkeypatch.setattr(module, name, read, raising=False)


# Batches, and what changes meanwhile


@pytest.mark.usefixtures("tasks", "small_batches")
def test_many_documents_are_updated_in_batches_each_once() -> None:
    result = Task.objects.order_by("n").skip(2).update(inc__x=1, full_result=True)
    assert (result.matched_count, result.modified_count) == (8, 8)
    assert numbers(Task.objects(x=1)) == list(range(2, 10))


@pytest.mark.usefixtures("tasks", "small_batches")
def test_many_documents_are_deleted_in_batches() -> None:
    assert Task.objects.order_by("-n")[:8].delete() == 8
    assert numbers(Task.objects) == [0, 1]


@pytest.mark.usefixtures("tasks")
def test_an_update_of_what_was_asked_for_concerns_each_document_once() -> None:
    assert Task.objects(x=None).order_by("n").limit(3).update(inc__x=1, inc__n=100) == 3
    assert numbers(Task.objects(x=1)) == [100, 101, 102]


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("operation", ["update", "delete"])
def test_a_document_that_is_not_what_was_asked_for_any_more_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    tampered(
        monkeypatch,
        "filters_of",
        lambda: Task._get_collection().update_one({"n": 1}, {"$set": {"state": "done"}}),
    )
    chosen = Task.objects(state="new").order_by("n").limit(3)
    assert (chosen.update(x=1) if operation == "update" else chosen.delete()) == 2
    assert Task.objects.get(n=1).x is None


@pytest.mark.usefixtures("tasks")
def test_where_another_takes_the_first_document_the_next_one_is_updated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []

    def take() -> None:
        if not taken:
            taken.append(1)
            Task._get_collection().update_one({"n": 2}, {"$set": {"state": "done"}})

    tampered(monkeypatch, "keys_of", take)
    found = Task.objects(state="new").order_by("n").skip(2).modify(set__x=1, new=True)
    assert (found.n, found.x) == (3, 1)


@pytest.mark.usefixtures("tasks")
def test_where_others_always_are_quicker_the_operation_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tampered(
        monkeypatch,
        "keys_of",
        lambda: (
            Task._get_collection().update_many({}, {"$set": {"state": "done"}})
            and Task._get_collection().insert_many([{"n": 50, "state": "new"}] * 1)
            and Task._get_collection().insert_one({"n": 51, "state": "new"})
        ),
    )
    with pytest.raises(OperationError, match="changed by others"):
        Task.objects(state="new").order_by("n").skip(1).update_one(set__x=1)
    assert Task.objects(x=1).count() == 0


def test_keys_that_a_collation_takes_for_equal_are_told_apart() -> None:
    Named.objects.insert([Named(name="a"), Named(name="A")])
    chosen = Named.objects.collation({"locale": "en", "strength": 1}).order_by("-pk").limit(1)
    name = chosen.first().name
    assert chosen.update(set__x=1) == 1
    assert [each.name for each in Named.objects(x=1)] == [name]
    with pytest.raises(OperationError, match=r"distinct\(\)"):
        chosen.distinct("name")


# The first document


@pytest.mark.usefixtures("tasks")
def test_an_ordering_decides_which_document_is_updated() -> None:
    assert Task.objects(n__lt=5).order_by("-n").update_one(set__x=1) == 1
    assert numbers(Task.objects(x=1)) == [4]


@pytest.mark.usefixtures("tasks")
def test_the_models_ordering_decides_too() -> None:
    Newest.objects.insert([Newest(n=n) for n in (1, 3, 2)])
    Newest.objects.update_one(set__x=1)
    assert numbers(Newest.objects(x=1)) == [3]
    assert Newest.objects.modify(set__x=2).n == 3
    assert Newest.objects.order_by().modify(remove=True).n == 1


@pytest.mark.usefixtures("tasks")
def test_array_filters_go_along_with_an_ordering() -> None:
    Task._get_collection().update_many({}, {"$set": {"marks": [{"a": 1}, {"a": 2}]}})
    raw = {"$set": {"marks.$[each].b": 1}}
    filters = [{"each.a": 2}]
    first = Task.objects.order_by("-n")
    assert first.update_one(__raw__=raw, array_filters=filters) == 1
    assert first.skip(1).update_one(__raw__=raw, array_filters=filters) == 1
    assert first.skip(2).modify(__raw__=raw, array_filters=filters).n == 7
    assert Task._get_collection().count_documents({"marks": {"a": 2, "b": 1}}) == 3


# Upserts


@pytest.mark.usefixtures("tasks")
def test_upsert_one_returns_a_document_that_is_not_what_was_asked_for_any_more() -> None:
    found = Task.objects(n=3).upsert_one(set__n=33)
    assert found.n == 33
    assert Task.objects(n=33).get() == found
    assert Task.objects.count() == 10


def test_upsert_one_returns_what_it_has_inserted() -> None:
    inserted = Task.objects(n=3).upsert_one(set__x=1)
    assert (inserted.n, inserted.x, inserted.created_at) == (3, 1, inserted.updated_at)
    assert Task.objects.get() == inserted


@pytest.mark.usefixtures("tasks")
def test_upsert_one_updates_the_first_in_order() -> None:
    assert Task.objects(n__gt=3).order_by("-n").upsert_one(set__x=1).n == 9


@pytest.mark.usefixtures("tasks")
def test_an_ordered_update_inserts_where_there_is_nothing() -> None:
    result = Task.objects(n=50).order_by("n").update_one(set__x=1, upsert=True, full_result=True)
    assert Task.objects.get(n=50).pk == result.upserted_id


UPSERTS: dict[str, Callable[[Any], Any]] = {
    "none()": lambda q: q.none(),
    "empty slice": lambda q: q[2:2],
    "skip()": lambda q: q.skip(1),
    "where()": lambda q: q.where("false"),
    "limit()": lambda q: q.limit(1),
}


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("name", UPSERTS)
def test_an_upsert_of_what_no_filter_says_is_refused(name: str) -> None:
    chosen = UPSERTS[name](Task.objects(n=50))
    one: list[Callable[[], object]] = [
        lambda: chosen.upsert_one(set__x=1),
        lambda: chosen.modify(upsert=True, set__x=1),
        lambda: chosen.update_one(upsert=True, set__x=1),
    ]
    many: list[Callable[[], object]] = [lambda: chosen.update(upsert=True, set__x=1)]
    for call in many if name == "limit()" else one + many:
        with pytest.raises(OperationError, match=re.escape(name)):
            call()
    assert numbers(Task.objects) == list(range(10))


def test_a_limit_does_not_hinder_an_upsert_of_one() -> None:
    assert Task.objects(n=50).limit(1).upsert_one(set__x=1).n == 50


def test_an_inserted_document_has_its_class_and_an_updated_one_keeps_it() -> None:
    assert type(Vehicle.objects(name="a").upsert_one(set__x=1)) is Vehicle
    assert Vehicle.objects(name="b").update_one(upsert=True, set__x=1) == 1
    Vehicle.objects(name="c").modify(upsert=True, __raw__=[{"$set": {"x": 1}}])
    assert Vehicle.objects.count() == 3
    Car(name="d").save()
    assert type(Vehicle.objects(name="d").upsert_one(set__x=1)) is Car
    assert type(Vehicle.objects.get(name="d")) is Car
    assert type(Car.objects(name="e").upsert_one(set__x=1)) is Car


def test_an_upsert_says_what_is_not_unique() -> None:
    Car(name="a").save()
    with pytest.raises(NotUniqueError):
        Vehicle.objects(x=7).upsert_one(set__name="a")


def test_a_pipeline_is_all_of_an_update() -> None:
    with pytest.raises(OperationError, match="set__x"):
        Task.objects.update(__raw__=[{"$set": {"n": 1}}], set__x=1)


# Delete rules


def library() -> list[Any]:
    authors = Author.objects.insert([Author(n=n) for n in range(4)])
    Book.objects.insert([Book(n=each.n, author=each) for each in authors])
    Letter.objects.insert([Letter(author=each) for each in authors])
    Club(members=authors).save()
    return list(authors)


DELETIONS: dict[str, Callable[[Any], Any]] = {
    "filter": lambda q: q.filter(n__lt=2),
    "limit": lambda q: q.order_by("n").limit(2),
    "where": lambda q: q.where("this.n < 2"),
    "as_pymongo": lambda q: q.order_by("n").limit(2).as_pymongo(),
    "scalar": lambda q: q.order_by("n").limit(2).scalar("n"),
    "only": lambda q: q.order_by("n").limit(2).only("created_at"),
}


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("name", DELETIONS)
def test_delete_rules_follow_what_is_deleted(name: str) -> None:
    authors = library()
    assert DELETIONS[name](Author.objects).delete() == 2
    assert numbers(Author.objects) == [2, 3]
    assert numbers(Book.objects) == [2, 3]
    assert [letter.author for letter in Letter.objects] == [None, None, *authors[2:]]
    assert Club.objects.get().members == authors[2:]


@pytest.mark.usefixtures("small_batches")
def test_a_reference_that_forbids_deleting_one_keeps_all() -> None:
    Contract(author=library()[3]).save()
    with pytest.raises(OperationError, match=r"Contract\.author"):
        Author.objects.delete()
    assert (Author.objects.count(), Book.objects.count()) == (4, 4)
    assert Author.objects.order_by("n").limit(3).delete() == 3


def test_nothing_is_done_to_those_that_refer_to_what_is_not_shown() -> None:
    library()
    for chosen in (Author.objects.none(), Author.objects[0:0], Author.objects.where("false")):
        assert chosen.delete() == 0
    assert (Author.objects.count(), Book.objects.count()) == (4, 4)


def test_documents_that_refer_to_one_another_go_with_them() -> None:
    parent = None
    for n in range(5):
        parent = Node(n=n, parent=parent).save()
    Node.objects(n=0).update(set__parent=parent)
    assert Node.objects(n=2).delete() == 1
    assert Node.objects.count() == 0


# One by one


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("name", ["limit", "as_pymongo", "scalar", "only", "where", "none"])
def test_signals_tell_of_the_documents_shown_and_no_others(name: str) -> None:
    told: list[int] = []

    def hear(sender: Any, document: Any) -> None:
        told.append(document.n)

    chosen = DELETIONS[name](Task.objects) if name != "none" else Task.objects.none()
    with signals.post_delete.connected_to(hear, sender=Task):
        chosen.delete()
    assert told == ([] if name == "none" else [0, 1])
    assert numbers(Task.objects) == [n for n in range(10) if n not in told]


def test_a_model_with_its_own_way_of_deleting_keeps_it_for_slices() -> None:
    Hidden.objects.insert([Hidden(n=n) for n in range(3)])
    assert Hidden.objects.order_by("n")[:2].delete() == 2
    assert numbers(Hidden.objects(is_gone=1)) == [0, 1]


def test_files_go_with_the_documents_of_a_slice() -> None:
    for n in range(2):
        photo = Photo(n=n)
        photo.image.put(b"pixels")
        photo.save()
    assert Photo.objects.order_by("n")[:1].delete() == 1
    assert numbers(Photo.objects) == [1]


# Where


@pytest.mark.usefixtures("tasks")
def test_another_database_is_the_one_that_is_changed() -> None:
    elsewhere = Task.objects.using("database1")
    elsewhere.insert([Task(n=n) for n in range(5)])
    assert elsewhere.order_by("n").limit(2).update(set__x=1) == 2
    assert elsewhere.order_by("n").skip(1).modify(set__x=7, new=True).n == 1
    assert elsewhere.where("this.n == 4").delete() == 1
    assert (elsewhere.sum("n"), elsewhere.average("n"), elsewhere.count()) == (6, 1.5, 4)
    assert set(elsewhere.in_bulk(elsewhere.distinct("id"))) == {each.pk for each in elsewhere}
    assert Task.objects(x=None).count() == 10
    with pytest.raises(OperationError, match="map_reduce"):
        elsewhere.item_frequencies("n")


@pytest.mark.usefixtures("tasks")
def test_signals_of_deletion_concern_the_other_database_too() -> None:
    elsewhere = Task.objects.using("database1")
    elsewhere.insert(Task(pk=Task.objects.first().pk, n=0))
    elsewhere.create(n=1)
    with signals.post_delete.connected_to(lambda sender, document: None, sender=Task):
        assert elsewhere.delete() == 2
    assert (elsewhere.count(), Task.objects.count()) == (0, 10)


@pytest.mark.usefixtures("tasks")
def test_a_transaction_holds_what_refined_querysets_do_in_it() -> None:
    def change() -> None:
        with db.transaction():
            assert Task.objects.order_by("n").limit(2).update(set__x=1) == 2
            assert Task.objects(x=1).order_by("-n").skip(1).update_one(set__x=2) == 1
            assert Task.objects.where("this.x == 2").count() == 1
            assert Task.objects[8:].delete() == 2
            assert Task.objects.count() == 8
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert Task.objects(x=None).count() == 10


@pytest.mark.usefixtures("tasks")
def test_a_write_concern_goes_along() -> None:
    assert Task.objects[:2].update(set__x=1, write_concern={"w": 1}) == 2
    assert Task.objects[:2].delete(write_concern={"w": 1}) == 2
    assert Task.objects.upsert_one(set__x=1, write_concern={"w": 1}).x == 1
