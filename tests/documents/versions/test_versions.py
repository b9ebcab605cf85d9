"""A versioned document is written and deleted only over what was loaded."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import mongoengine as me
import pytest
from bson import ObjectId
from mongoengine import Q, signals
from mongoengine.errors import NotUniqueError, OperationError, SaveConditionError, ValidationError
from pymongo.client_session import ClientSession
from pymongo.errors import NetworkTimeout, OperationFailure

from datalayer import BusinessDocument, DynamicBusinessDocument, db
from datalayer.connections.registry import registry
from datalayer.documents import Document, EmbeddedDocument
from datalayer.errors import OutcomeUnknownError, StaleDocumentError
from datalayer.settings import Settings


class Line(EmbeddedDocument):
    text = me.StringField()
    count = me.IntField()


class Page(BusinessDocument):
    title = me.StringField(required=True)
    slug = me.StringField(unique=True, sparse=True)
    count = me.IntField()
    tags = me.ListField(me.StringField())
    lines = me.EmbeddedDocumentListField(Line)
    meta = {"versioned": True}


class Plain(Document):
    title = me.StringField()
    meta = {"versioned": True}


class Renamed(Document):
    version = me.IntField(db_field="v")
    title = me.StringField()
    meta = {"versioned": True}


class Loose(DynamicBusinessDocument):
    title = me.StringField()
    meta = {"versioned": True}


class Animal(Document):
    title = me.StringField()
    meta = {"versioned": True, "allow_inheritance": True}


class Dog(Animal):
    breed = me.StringField()


class Named(Document):
    name = me.StringField(primary_key=True)
    title = me.StringField()
    meta = {"versioned": True}


class Sharded(Document):
    region = me.StringField(required=True)
    title = me.StringField()
    meta = {"versioned": True, "shard_key": ("region",)}


class Listened(Document):
    """Saved in MongoEngine's own way: somebody listens to each that is made."""

    title = me.StringField()
    meta = {"versioned": True}


class Holder(BusinessDocument):
    title = me.StringField()
    page = me.ReferenceField(Page, reverse_delete_rule=me.CASCADE)
    meta = {"versioned": True}


class Scan(Document):
    title = me.StringField()
    image = me.FileField()
    meta = {"versioned": True}


KINDS: dict[str, Callable[[], Any]] = {
    "of the business": lambda: Page(title="a"),
    "without time stamps": lambda: Plain(title="a"),
    "under another name": lambda: Renamed(title="a"),
    "dynamic": lambda: Loose(title="a", more=1),
    "of a derived class": lambda: Dog(title="a", breed="b"),
    "with an own key": lambda: Named(name="n", title="a"),
    "sharded": lambda: Sharded(region="eu", title="a"),
    "in MongoEngine's own way": lambda: Listened(title="a"),
    "with a file": lambda: Scan(title="a"),
}
MODELS = (Page, Plain, Renamed, Loose, Animal, Dog, Named, Sharded, Listened, Holder, Scan, Line)


def raw(model: Any, alias: str = "default") -> Any:
    return registry.connection(alias).database[model._get_collection_name()]


def stored(document: Any) -> Any:
    return raw(type(document)).find_one()


def stored_version(document: Any) -> Any:
    return stored(document).get(type(document)._version_key)


def page(**values: Any) -> Any:
    Page(title="a", **values).save()
    return Page.objects.get()


@pytest.fixture(autouse=True)
def empty(shared: Settings) -> None:
    for alias in shared:
        database = registry.connection(alias).database
        for name in database.list_collection_names():
            database[name].delete_many({})


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    def listener(sender: Any, document: Any) -> None: ...

    with signals.post_init.connected_to(listener, sender=Listened):
        yield


@pytest.fixture(params=KINDS)
def saved(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]().save()


def other(document: Any) -> Any:
    return type(document).objects.get(pk=document.pk)


# Counting


def test_a_new_document_has_version_1_and_each_save_counts(saved: Any) -> None:
    assert (saved.version, stored_version(saved)) == (1, 1)
    saved.title = "b"
    saved.save()
    assert (saved.version, stored_version(saved)) == (2, 2)
    found = other(saved)
    assert found.version == 2
    found.title = "c"
    assert found.save().version == stored_version(saved) == 3


def test_a_save_without_a_change_counts_and_asks_nothing() -> None:
    first, second = page(), Page.objects.get()
    first.title = "b"
    first.save()
    assert second.save().version == 1
    assert stored_version(first) == 2


def test_inserted_documents_have_version_1() -> None:
    Page.objects.insert([Page(title="a"), Page(title="b")])
    first = Page.objects.insert(Page(title="c"))
    assert first.version == 1
    assert [each["version"] for each in raw(Page).find()] == [1, 1, 1]


# Refusing


CHANGES: dict[str, Callable[[Any], Any]] = {
    "save": lambda found: (setattr(found, "title", "mine"), found.save()),
    "update": lambda found: found.update(set__title="mine"),
    "update with its result": lambda found: found.update(set__title="mine", full_result=True),
    "update or insert": lambda found: found.update(set__title="mine", upsert=True),
    "modify": lambda found: found.modify(set__title="mine"),
    "modify with a condition": lambda found: found.modify({"title": "theirs"}, set__title="mine"),
    "modify with a Q": lambda found: found.modify(Q(title="theirs"), set__title="mine"),
    "delete": lambda found: found.delete(),
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_document_that_was_changed_since_is_not_written_over(saved: Any, how: str) -> None:
    mine, theirs = other(saved), other(saved)
    theirs.title = "theirs"
    theirs.save()
    with pytest.raises(StaleDocumentError, match=r"version 1 was loaded, 2 is there") as caught:
        CHANGES[how](mine)
    assert (caught.value.alias, caught.value.collection, caught.value.id) == (
        "default",
        type(saved)._get_collection_name(),
        saved.pk,
    )
    assert (stored(saved)["title"], stored_version(saved)) == ("theirs", 2)
    assert mine.version == 1


@pytest.mark.parametrize("how", sorted(set(CHANGES) - {"update or insert"}))
def test_a_document_that_is_gone_is_told(how: str) -> None:
    mine = page()
    raw(Page).delete_many({})
    with pytest.raises(StaleDocumentError, match="not in the collection any more"):
        CHANGES[how](mine)
    assert stored(mine) is None


@pytest.mark.parametrize("how", CHANGES)
def test_a_write_of_what_was_loaded_succeeds(how: str) -> None:
    mine = saved = page()
    if "condition" in how or "Q" in how:
        mine.title = "theirs"
        mine.save()
    CHANGES[how](mine)
    if how == "delete":
        assert stored(saved) is None
        return
    assert (stored(saved)["title"], stored_version(saved)) == ("mine", mine.version)


@pytest.mark.parametrize("how", CHANGES)
def test_after_a_reload_it_is_written(how: str) -> None:
    mine, theirs = page(), Page.objects.get()
    theirs.title = "theirs"
    theirs.save()
    with pytest.raises(StaleDocumentError):
        CHANGES[how](mine)
    mine.reload()
    CHANGES[how](mine)
    assert how == "delete" or stored(mine)["title"] == "mine"


def test_reloading_one_field_does_not_take_the_version() -> None:
    mine, theirs = page(count=1), Page.objects.get()
    theirs.count, theirs.title = 5, "theirs"
    theirs.save()
    mine.reload("title")
    mine.count += 1
    with pytest.raises(StaleDocumentError):
        mine.save()
    assert stored(mine)["count"] == 5


def test_changes_inside_and_of_items_are_refused() -> None:
    mine, theirs = page(lines=[Line(text="a", count=1)]), Page.objects.get()
    theirs.lines = []
    theirs.save()
    mine.lines[0].count = 2
    with pytest.raises(StaleDocumentError, match="version 1 was loaded, 2 is there"):
        mine.save()
    assert "lines" not in stored(mine)


def test_a_condition_of_the_application_is_told_as_before() -> None:
    found = page(count=1)
    found.title = "b"
    with pytest.raises(SaveConditionError):
        found.save(save_condition={"count": 2})
    found.save(save_condition={"count": 1, "version": 1})
    found.title = "c"
    with pytest.raises(SaveConditionError):
        found.save(save_condition={"version": 1})
    assert stored(found)["title"] == "b"
    assert not found.modify({"count": 2}, set__title="c")
    assert not found.modify({"version": 1}, set__title="c")
    assert found.modify({"version": 2}, set__title="c")


def test_a_version_that_is_assigned_is_the_one_that_is_asked_for() -> None:
    found = page()
    found.title = "b"
    found.save()
    edited = Page.objects.get()
    edited.title, edited.version = "c", "1"  # as a form had it
    with pytest.raises(StaleDocumentError, match="version 1 was loaded, 2 is there"):
        edited.save()
    edited.version = "2"
    assert edited.save().version == stored_version(found) == 3


def test_a_version_that_is_none_is_refused() -> None:
    found = page()
    found.title, found.version = "b", "second"
    with pytest.raises(ValidationError):
        found.save()


def test_assigning_a_version_alone_changes_nothing() -> None:
    found = page()
    found.version = 7
    found.save()
    assert stored_version(found) == 1


def test_a_reference_that_was_changed_is_refused_when_it_is_saved_along() -> None:
    holder = Holder(title="a", page=page()).save()
    theirs = Page.objects.get()
    theirs.title = "theirs"
    theirs.save()
    holder.page.title = "mine"
    holder.title = "b"
    with pytest.raises(StaleDocumentError) as caught:
        holder.save(cascade=True)
    assert caught.value.collection == "page"
    holder.page.reload()
    holder.title = "c"
    assert holder.save().version == 3


def test_delete_rules_are_not_followed_for_what_is_not_deleted() -> None:
    mine = page()
    Holder(title="a", page=mine).save()
    theirs = Page.objects.get()
    theirs.title = "theirs"
    theirs.save()
    with pytest.raises(StaleDocumentError):
        mine.delete()
    assert raw(Holder).count_documents({}) == 1
    theirs.delete()
    assert raw(Holder).count_documents({}) == 0


def test_the_file_of_what_is_not_deleted_stays() -> None:
    scan = Scan(title="a")
    scan.image.put(b"bytes")
    scan.save()
    theirs = Scan.objects.get()
    theirs.title = "theirs"
    theirs.save()
    with pytest.raises(StaleDocumentError):
        scan.delete()
    assert Scan.objects.get().image.read() == b"bytes"


# Older documents


def test_an_older_document_gets_a_version_with_the_next_write() -> None:
    raw(Page).insert_one({"title": "old"})
    first, second = Page.objects.get(), Page.objects.get()
    assert first.version is None
    first.title = "b"
    assert first.save().version == stored_version(first) == 1
    second.title = "c"
    with pytest.raises(StaleDocumentError, match="version none was loaded, 1 is there"):
        second.save()


@pytest.mark.parametrize("how", ["update", "update or insert", "modify", "delete"])
def test_an_older_document_is_written_in_each_way(how: str) -> None:
    raw(Page).insert_one({"title": "old"})
    found = Page.objects.get()
    CHANGES[how](found)
    assert how == "delete" or (found.version, stored_version(found)) == (1, 1)


# Documents loaded in part


@pytest.mark.parametrize(
    "choose",
    [
        lambda objects: objects.only("title"),
        lambda objects: objects.exclude("version"),
        lambda objects: objects.exclude("version", "tags"),
        lambda objects: objects.only("title", "version").exclude("version"),
        lambda objects: objects.fields(title=1),
        lambda objects: objects.fields(slice__tags=1),
        lambda objects: objects.only("title").fields(slice__tags=1),
        lambda objects: objects.fields(elemMatch__lines={"text": "a"}),
        lambda objects: objects.only("lines__text"),
    ],
)
def test_a_document_loaded_in_part_has_its_version(choose: Callable[[Any], Any]) -> None:
    page(tags=["a", "b"], lines=[Line(text="a")])
    mine, theirs = choose(Page.objects).get(), Page.objects.get()
    assert dict.get(mine._data, "version", mine._data.get("version")) == 1
    theirs.title = "theirs"
    theirs.save()
    mine.count = 7
    with pytest.raises(StaleDocumentError):
        mine.save()
    again = choose(Page.objects).get()
    again.count = 7
    assert again.save().version == stored_version(again) == 3


def test_what_is_fetched_later_does_not_make_it_current() -> None:
    page(count=1)
    mine, theirs = Page.objects.only("title").get(), Page.objects.get()
    theirs.count = 5
    theirs.save()
    mine.count += 1
    with pytest.raises(StaleDocumentError):
        mine.save()


# Documents that weren't loaded


def test_a_document_that_was_not_loaded_replaces_none() -> None:
    Named(name="n", title="a").save()
    with pytest.raises(NotUniqueError):
        Named(name="n", title="b").save()
    assert stored(Named(name="n"))["title"] == "a"


def test_a_new_document_that_was_refused_can_be_corrected_and_saved() -> None:
    page(slug="a")
    second = Page(title="b", slug="a")
    with pytest.raises(NotUniqueError):
        second.save()
    assert second.version is None
    second.slug = "b"
    assert second.save().version == 1


def test_a_document_that_was_not_loaded_is_updated_and_deleted_by_its_key() -> None:
    found = page()
    Page(id=found.pk).update(set__title="b")
    assert (stored(found)["title"], stored_version(found)) == ("b", 2)
    Page(id=found.pk).delete()
    assert stored(found) is None


def test_a_copy_for_another_database_replaces_none_there() -> None:
    found = page()
    found.switch_db("database1").save()
    again = Page.objects.get()
    with pytest.raises(NotUniqueError):
        again.switch_db("database1").save()
    assert raw(Page, "database1").find_one()["version"] == 2


def test_what_was_deleted_can_be_stored_again_and_goes_on_counting() -> None:
    found = page()
    stale = Page.objects.get()
    raw(Page).delete_many({})
    assert found.save(force_insert=True).version == 2
    stale.title = "b"
    with pytest.raises(StaleDocumentError):
        stale.save()


def test_copies_and_pickles_keep_it() -> None:
    found = page()
    for again in (copy.copy(found), pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert again.version == 1


def test_an_unacknowledged_write_is_not_believed() -> None:
    found = page()
    found.title = "b"
    found.save(write_concern={"w": 0})
    assert found.version == 1


# Transactions


def test_after_a_rollback_a_document_has_its_version_from_before(saved: Any) -> None:
    found = other(saved)

    def change_all() -> None:
        with db.transaction():
            found.title = "b"
            found.save()
            found.update(set__title="c")
            found.modify(set__title="d")
            assert found.version == 4
            raise KeyError

    with pytest.raises(KeyError):
        change_all()
    assert (found.version, stored_version(saved)) == (1, 1)
    found.title = "e"
    assert found.save().version == 2


def test_a_new_document_that_was_rolled_back_has_none() -> None:
    new = Page(title="a")

    def save_and_fail() -> None:
        with db.transaction():
            new.save()
            raise KeyError

    with pytest.raises(KeyError):
        save_and_fail()
    assert new.version is None
    assert new.save().version == 1


def test_in_a_transaction_a_stale_document_rolls_back_and_is_not_repeated() -> None:
    mine, theirs, attempts = page(), Page.objects.get(), []
    theirs.title = "theirs"
    theirs.save()

    @db.transactional
    def change() -> None:
        attempts.append(1)
        Plain(title="a").save()
        mine.title = "mine"
        mine.save()

    with pytest.raises(StaleDocumentError):
        change()
    assert len(attempts) == 1
    assert raw(Plain).count_documents({}) == 0


def test_a_transaction_that_is_repeated_begins_with_the_version_from_before() -> None:
    found, attempts = page(), []

    @db.transactional
    def change() -> None:
        attempts.append(found.version)
        found.title = "b"
        found.save()
        if len(attempts) == 1:
            raise me.errors.OperationError from transient()

    change()
    assert attempts == [1, 1]
    assert (found.version, stored_version(found)) == (2, 2)


def transient() -> Exception:
    details = {"errorLabels": ["TransientTransactionError"]}
    return OperationFailure("conflict", 112, details)


@pytest.mark.parametrize("is_done", [True, False])
def test_after_a_commit_without_a_reply_a_document_is_not_written_over(
    monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    found, theirs = page(), Page.objects.get()
    send = ClientSession.commit_transaction

    def lose(session: ClientSession) -> None:
        send(session) if is_done else session.abort_transaction()
        lost = NetworkTimeout("lost")
        lost._add_error_label("UnknownTransactionCommitResult")
        raise lost

    with monkeypatch.context() as patch:
        patch.setattr(ClientSession, "commit_transaction", lose)
        found.title = "b"
        with pytest.raises(OutcomeUnknownError), db.transaction():
            found.save()
    if not is_done:  # the version that the other one would have
        theirs.title = "theirs"
        theirs.save()
    found.title = "c"
    with pytest.raises(StaleDocumentError, match="version none was loaded, 2 is there"):
        found.save()
    found.reload()
    found.title = "c"
    assert found.save().version == 3


def test_after_a_commit_that_was_interrupted_a_document_is_loaded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = page()
    send = ClientSession.commit_transaction

    def interrupt(session: ClientSession) -> None:
        send(session)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ClientSession, "commit_transaction", interrupt)
        found.title = "b"
        with pytest.raises(KeyboardInterrupt), db.transaction():
            found.save()
    found.title = "c"
    with pytest.raises(StaleDocumentError):
        found.save()


# What is not asked for a version


def test_deleting_what_a_queryset_shows_asks_for_none() -> None:
    for title in "ab":
        Page(title=title).save()

    def meddle(sender: Any, document: Any) -> None:
        raw(Page).update_one({"_id": document.pk}, {"$inc": {"version": 1}})

    signals.pre_delete.connect(meddle, sender=Page)
    try:
        assert Page.objects.delete() == 2
    finally:
        signals.pre_delete.disconnect(meddle, sender=Page)
    assert raw(Page).count_documents({}) == 0


def test_an_update_that_the_server_refuses_is_told_as_before() -> None:
    page(slug="a")
    second = Page(title="b", slug="b").save()
    for operation in (second.update, second.modify):
        with pytest.raises(NotUniqueError):
            operation(set__slug="a")
    with pytest.raises(OperationError):
        Page(title="c").update(set__title="d")
    assert second.version == 1


def test_an_update_or_insert_of_what_is_gone_inserts() -> None:
    found = page()
    raw(Page).delete_many({})
    found.update(set__title="b", upsert=True)
    assert stored(found)["version"] == found.version == 2
    assert isinstance(stored(found)["_id"], ObjectId)
