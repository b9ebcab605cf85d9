"""One document or a 404, and numbered pages of querysets, lists and list fields."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import mongoengine
import pytest
from bson import ObjectId
from fresh_databases import connected, model_registry, settings_for
from mongoengine.errors import OperationError
from mongoengine.fields import (
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    IntField,
    ListField,
    ReferenceField,
    StringField,
)
from observing import SentCommands, commands_sent
from werkzeug.exceptions import NotFound

from datalayer import db
from datalayer.documents import BusinessDocument, EmbeddedDocument
from datalayer.documents.querysets.pages.numbered import ListFieldPagination, Pagination
from datalayer.embedded import EmbeddedMongo
from datalayer.errors import ConfigurationError

with model_registry():

    class Note(EmbeddedDocument):
        text = StringField(db_field="t")

    class Inner(EmbeddedDocument):
        tags = ListField(StringField(), db_field="ts")

    class Todo(BusinessDocument):
        number = IntField()
        title = StringField()
        comments = ListField(StringField(), db_field="cs")
        notes = EmbeddedDocumentListField(Note)
        inner = EmbeddedDocumentField(Inner)
        after = ReferenceField("self")
        also = ListField(ReferenceField("self"))

        meta = {"collection": "todos", "ordering": ["number"]}

    class OwnQueries(mongoengine.QuerySet):
        def odd(self) -> Any:
            return self.filter(__raw__={"number": {"$mod": [2, 1]}})

    class Moved(BusinessDocument):
        message = StringField()
        number = IntField()

        meta = {"collection": "moved", "queryset_class": OwnQueries}


COMMENTS = [f"comment {number}" for number in range(42)]


@pytest.fixture(autouse=True, scope="module")
def sent(mongod: EmbeddedMongo) -> Iterator[SentCommands]:
    with (
        commands_sent() as sent,
        model_registry(Note, Inner, Todo, Moved),
        connected(settings_for(mongod)),
    ):
        Todo.objects.insert([Todo(number=number, title=f"post {number}") for number in range(42)])
        Todo.objects(number=0).update(
            set__comments=COMMENTS,
            set__notes=[Note(text=text) for text in COMMENTS],
            set__inner=Inner(tags=COMMENTS),
        )
        yield sent


def _first() -> Any:
    return Todo.objects.get(number=0)


@pytest.mark.parametrize(
    "found",
    [
        lambda: Pagination(Todo.objects, 1, 10),
        lambda: Pagination(range(1, 43), 1, 10),
        lambda: Todo.objects.paginate(1, 10),
        lambda: Todo.objects.paginate(page=1, per_page=10),
        lambda: ListFieldPagination(Todo.objects, _first().id, "comments", 1, 10),
        lambda: ListFieldPagination(Todo.objects, _first().id, "comments", 1, 10, 42),
        lambda: Todo.objects.paginate_field("comments", _first().id, 1, 10),
        lambda: Todo.objects.paginate_field(
            "comments", doc_id=str(_first().id), page="1", per_page="10"
        ),
        lambda: _first().paginate_field("comments", 1, 10, total=42),
    ],
)
def test_pages_are_numbered_from_1_to_the_last(found: Any) -> None:
    page = found()
    assert (page.pages, page.total) == (5, 42)
    assert list(page.iter_pages()) == [1, 2, 3, 4, 5]
    with pytest.raises(NotFound):
        page.prev()
    for number in range(1, 6):
        assert (page.page, page.prev_num, page.next_num) == (number, number - 1, number + 1)
        assert (page.has_prev, page.has_next) == (number > 1, number < 5)
        assert len(page.items) == (10 if number < 5 else 2)
        if page.has_next:
            page = page.next()
    assert list(page.prev().iter_pages(0, 1, 1, 0)) == [None, 3, 4, 5]
    with pytest.raises(NotFound):
        page.next()


def test_a_page_shows_its_documents_in_order() -> None:
    page = Todo.objects.paginate(3, 5)
    assert [todo.number for todo in page.items] == list(range(10, 15))
    assert [todo.number for todo in Todo.objects.order_by("-number").paginate(1, 2)] == [41, 40]


def test_left_out_numbers_are_none() -> None:
    page = Pagination(range(1000), 50, 10)
    assert list(page.iter_pages()) == [1, 2, None, *range(48, 56), None, 99, 100]
    assert list(page.iter_pages(0, 1, 1, 0)) == [None, 49, 50, 51, None]


@pytest.mark.parametrize("page", [0, -1, 6, 10**30, "x", "", None, "9" * 5000])
def test_a_page_that_is_not_there_is_not_found(page: Any) -> None:
    with pytest.raises(NotFound):
        Todo.objects.paginate(page, 10)
    with pytest.raises(NotFound):
        Todo.objects.paginate_field("comments", _first().id, page, 10)


@pytest.mark.parametrize("per_page", [0, -1, "x", None])
def test_a_bad_size_is_not_found(per_page: Any) -> None:
    with pytest.raises(NotFound):
        Todo.objects.paginate(1, per_page)


def test_without_error_out_there_is_always_a_page() -> None:
    assert Todo.objects.paginate(0, 10, error_out=False).page == 1
    assert Todo.objects.paginate("x", 0, error_out=False).per_page == 20
    late = Todo.objects.paginate(9, 10, error_out=False)
    assert (late.items, late.page, late.total) == ([], 9, 42)


def test_the_first_page_of_nothing_is_there() -> None:
    page = Todo.objects(number=-1).paginate(1, 10)
    assert (page.items, page.total, page.pages, list(page.iter_pages())) == ([], 0, 0, [])
    assert not page.has_next


def test_text_of_a_request_and_its_bound_will_do() -> None:
    page = Todo.objects.paginate("2", "1000", max_per_page=7)
    assert [todo.number for todo in page] == list(range(7, 14))


def test_a_page_takes_a_count_and_a_query(sent: SentCommands) -> None:
    sent.clear()
    Todo.objects(number__gte=0).paginate(2, 10)
    assert sent.names == ["aggregate", "find"]
    sent.clear()
    Todo.objects.paginate(2, 10, total=42)
    assert sent.names == ["find"]


def test_a_part_of_a_queryset_has_its_own_pages() -> None:
    page = Todo.objects[5:12].paginate(2, 5)
    assert [todo.number for todo in page] == [10, 11]
    assert (page.total, page.pages) == (7, 2)


def test_refinements_hold_on_all_pages() -> None:
    found = Todo.objects.where("this.number >= 20").only("number").order_by("-number")
    page = found.paginate(2, 20)
    assert ([todo.number for todo in page], page.total) == ([21, 20], 22)
    assert Todo.objects.scalar("number").paginate(1, 2).items == [0, 1]
    assert Todo.objects.as_pymongo().paginate(1, 1).items[0]["title"] == "post 0"


def test_what_the_documents_refer_to_is_read_at_once(sent: SentCommands) -> None:
    first = _first()
    added = [Todo(number=100, title=text, after=first, also=[first]).save() for text in "ab"]
    sent.clear()
    page = Todo.objects(number=100).paginate(1, 10, total=2)
    assert [todo.after.title for todo in page] == ["post 0", "post 0"]
    assert [todo.also[0].title for todo in page] == ["post 0", "post 0"]
    assert sent.names == ["find", "find"]
    for each in added:
        each.delete()


def test_a_list_is_not_read_as_a_whole(sent: SentCommands) -> None:
    key = _first().id
    sent.clear()
    page = Todo.objects.paginate_field("comments", key, 5, 10)
    assert page.items == COMMENTS[40:]
    assert sent.names == ["aggregate"]
    assert page.prev().items == COMMENTS[30:40]


def test_embedded_documents_and_inner_lists_have_pages() -> None:
    page = _first().paginate_field("notes", 2, 10)
    assert [note.text for note in page] == COMMENTS[10:20]
    assert Todo.objects.paginate_field("inner.tags", _first().id, 2, 10).items == COMMENTS[10:20]


def test_a_list_that_is_not_there_has_an_empty_page() -> None:
    page = Todo.objects.get(number=1).paginate_field("comments", 1, 10)
    assert (page.items, page.total) == ([], 0)


def test_a_field_that_holds_no_list_is_refused() -> None:
    with pytest.raises(OperationError, match="title of this document is no list"):
        _first().paginate_field("title", 1, 10)


@pytest.mark.parametrize("key", [ObjectId(), "nonsense", {"$ne": None}])
def test_a_document_that_is_not_there_is_not_found(key: Any) -> None:
    with pytest.raises(NotFound):
        Todo.objects.paginate_field("comments", key, 1, 10)
    with pytest.raises(NotFound, match="nobody"):
        Todo.objects.get_or_404(id=key, message="nobody")


def test_a_document_outside_of_the_queryset_is_not_found() -> None:
    with pytest.raises(NotFound):
        Todo.objects(number=5).paginate_field("comments", _first().id, 1, 10)


def test_get_or_404_gives_the_document() -> None:
    assert Todo.objects.get_or_404(number=3).title == "post 3"
    assert Todo.objects(number=3).get_or_404().title == "post 3"
    with pytest.raises(mongoengine.MultipleObjectsReturned):
        Todo.objects.get_or_404(number__lt=3)


@pytest.mark.parametrize("name", ["message", "description", "_message_404"])
def test_a_404_says_what_it_is_told(name: str) -> None:
    said = {name: "no such todo"}
    for call in (
        lambda: Todo.objects.get_or_404(number=-1, **said),
        lambda: Todo.objects.one_or_404(number=-1, **said),
        lambda: Todo.objects(number=-1).first_or_404(**said),
    ):
        with pytest.raises(NotFound, match="no such todo"):
            call()


def test_a_field_called_message_stays_a_condition() -> None:
    kept = Moved(message="hello").save()
    assert Moved.objects.get_or_404(message="hello") == kept
    with pytest.raises(NotFound, match="not found on the server"):
        Moved.objects.get_or_404(message="other")
    kept.delete()


def test_first_or_404_gives_the_first() -> None:
    assert Todo.objects.order_by("-number").first_or_404().number == 41
    with pytest.raises(NotFound, match="none"):
        Todo.objects(number=-1).first_or_404("none")
    with pytest.raises(TypeError, match="first_or_404"):
        Todo.objects.first_or_404(number="1")


def test_one_or_404_takes_several_for_none() -> None:
    assert Todo.objects.one_or_404(number=3).title == "post 3"
    with pytest.raises(NotFound):
        Todo.objects.one_or_404(number__lt=3)


def test_without_werkzeug_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "werkzeug.exceptions", None)
    with pytest.raises(ConfigurationError, match="pip install werkzeug"):
        Todo.objects.get_or_404(number=-1)


def test_querysets_of_ones_own_have_pages_too() -> None:
    Moved.objects.insert([Moved(number=number) for number in range(10)])
    assert Moved.objects.odd().order_by("number").paginate(2, 2).total == 5
    assert len(Moved.objects.odd().paginate_after(per_page=3).items) == 3
    assert Moved.objects.no_cache().first_or_404()
    Moved.objects.delete()


def test_pages_may_be_read_in_a_transaction() -> None:
    with db.transaction():
        assert Todo.objects.paginate(1, 10).total == 42
        assert Todo.objects.paginate_field("comments", _first().id, 1, 10).total == 42
