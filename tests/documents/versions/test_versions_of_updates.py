"""Updates through querysets count versions without asking for one: loaded copies notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mongoengine as me
import pytest
from mongoengine import CASCADE, NULLIFY
from mongoengine.errors import InvalidQueryError

from datalayer import BusinessDocument
from datalayer.connections.registry import registry
from datalayer.documents import Document
from datalayer.errors import StaleDocumentError
from datalayer.settings import Settings


class Page(BusinessDocument):
    title = me.StringField()
    count = me.IntField()
    tags = me.ListField(me.StringField())
    meta = {"versioned": True}


class Animal(Document):
    version = me.IntField(db_field="v")
    title = me.StringField()
    meta = {"versioned": True, "allow_inheritance": True}


class Dog(Animal):
    pass


class Comment(Document):
    page = me.ReferenceField(Page, reverse_delete_rule=NULLIFY)
    meta = {"versioned": True}


class Free(Document):
    version = me.StringField()
    title = me.StringField()


class Child(Document):
    page = me.ReferenceField(Page, reverse_delete_rule=CASCADE)


MODELS = (Page, Animal, Dog, Comment, Free, Child)


def raw(model: Any) -> Any:
    return registry.connection("default").database[model._get_collection_name()]


@pytest.fixture(autouse=True)
def empty(shared: Settings) -> None:
    for model in MODELS:
        raw(model).delete_many({})


UPDATES: dict[str, Callable[[Any], Any]] = {
    "update": lambda objects: objects.update(set__title="b"),
    "update_one": lambda objects: objects.update_one(set__title="b"),
    "update of the first by order": lambda objects: objects.order_by("title").update_one(
        set__title="b"
    ),
    "update of a slice": lambda objects: objects.skip(0).limit(1).update(set__title="b"),
    "modify": lambda objects: objects.modify(set__title="b"),
    "upsert_one": lambda objects: objects.upsert_one(set__title="b"),
    "update by operators": lambda objects: objects.update(__raw__={"$set": {"title": "b"}}),
    "update by a pipeline": lambda objects: objects.update(__raw__=[{"$set": {"title": "b"}}]),
    "update that replaces": lambda objects: objects.update(
        __raw__=[{"$replaceWith": {"_id": "$_id", "title": "b"}}]
    ),
}


@pytest.mark.parametrize("model", [Page, Animal, Dog])
@pytest.mark.parametrize("how", UPDATES)
def test_an_update_counts_and_a_loaded_copy_notices(how: str, model: Any) -> None:
    model(title="a").save()
    copy = model.objects.get()
    UPDATES[how](model.objects(title="a"))
    stored = raw(model).find_one()
    assert (stored["title"], stored[model._version_key]) == ("b", 2)
    copy.title = "c"
    with pytest.raises(StaleDocumentError):
        copy.save()


@pytest.mark.parametrize("how", UPDATES)
def test_an_update_of_an_older_document_gives_it_a_version(how: str) -> None:
    raw(Page).insert_one({"title": "a"})
    UPDATES[how](Page.objects)
    assert raw(Page).find_one()["version"] == 1


@pytest.mark.parametrize(
    "insert",
    [
        lambda: Page.objects(title="a").update(upsert=True, set__count=1),
        lambda: Page.objects(title="a").update_one(upsert=True, set__count=1),
        lambda: Page.objects(title="a").upsert_one(set__count=1),
        lambda: Page.objects(title="a").modify(upsert=True, set__count=1),
        lambda: Page.objects(title="a").update(upsert=True),
        lambda: Page.objects(title="a").update(upsert=True, __raw__=[{"$set": {"count": 1}}]),
    ],
)
def test_what_an_upsert_inserts_has_version_1(insert: Callable[[], Any]) -> None:
    insert()
    assert raw(Page).find_one()["version"] == 1


def test_what_modify_gives_has_its_new_version() -> None:
    Page(title="a").save()
    changed = Page.objects.only("title").modify(new=True, set__title="b")
    assert changed.version == 2
    changed.title = "c"
    assert changed.save().version == raw(Page).find_one()["version"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"set__version": 7},
        {"version": 7},
        {"unset__version": 1},
        {"inc__version": 1},
        {"set__title": "b", "min__version": 0},
        {"__raw__": {"$set": {"version": 7}}},
        {"__raw__": {"$rename": {"count": "version"}}},
        {"__raw__": [{"$set": {"version": 7}}]},
        {"__raw__": [{"$unset": "version"}]},
    ],
)
def test_an_update_can_not_change_the_version_itself(change: dict[str, Any]) -> None:
    page = Page(title="a").save()
    for update in (Page.objects.update, Page.objects.modify, page.update, page.modify):
        with pytest.raises(InvalidQueryError, match="the version of a Page is counted by itself"):
            update(**change)
    assert raw(Page).find_one()["version"] == page.version == 1


def test_a_delete_rule_that_changes_others_counts() -> None:
    page = Page(title="a").save()
    comment = Comment(page=page).save()
    page.delete()
    stored = raw(Comment).find_one()
    assert ("page" in stored, stored["version"]) == (False, 2)
    comment.page = None
    with pytest.raises(StaleDocumentError):
        comment.save()


def test_a_model_without_versions_may_have_such_a_field() -> None:
    free = Free(version="1.2").save()
    Free.objects.update(set__version="1.3")
    free.title = "a"
    free.save()
    stored = raw(Free).find_one()
    assert (stored["version"], stored["title"]) == ("1.3", "a")


def test_the_version_is_asked_for_and_shown_like_any_field() -> None:
    Page(title="a").save()
    assert Page.objects(version=1).count() == 1
    assert '"version": 1' in Page.objects.get().to_json()
