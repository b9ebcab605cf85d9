"""References into other databases, and what several threads get that read a value first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mongoengine import (
    CachedReferenceField,
    DictField,
    DynamicField,
    EmbeddedDocumentField,
    EmbeddedDocumentListField,
    FileField,
    GenericLazyReferenceField,
    GenericReferenceField,
    LazyReferenceField,
    ListField,
    MapField,
    ReferenceField,
    SequenceField,
    StringField,
)

from datalayer import db
from datalayer.connections.registry import registry
from datalayer.documents import AnalyticsDocument, BusinessDocument, EmbeddedDocument
from datalayer.errors import NotConnectedError
from datalayer.settings import Settings

THREADS = 6
ROUNDS = 6


class User(BusinessDocument):
    name = StringField()


class Event(AnalyticsDocument):
    name = StringField()
    user = ReferenceField(User)
    meta = {"allow_inheritance": True}


class Named(BusinessDocument):
    name = StringField()
    meta = {"abstract": True}


class Near(Named):
    pass


class Far(Named):
    meta = {"db_alias": "database1"}


class Part(EmbeddedDocument):
    event = ReferenceField(Event)
    anything = GenericReferenceField()
    events = ListField(ReferenceField(Event))


class Holder(BusinessDocument):
    event = ReferenceField(Event)
    as_dbref = ReferenceField(Event, dbref=True)
    anything = GenericReferenceField()
    named = ReferenceField(Named)
    lazy = LazyReferenceField(Event)
    lazy_anything = GenericLazyReferenceField()
    cached = CachedReferenceField(User, fields=["name"])
    events = ListField(ReferenceField(Event))
    all_named = ListField(ReferenceField(Named))
    all_lazy = ListField(LazyReferenceField(Event))
    mixed = ListField(GenericReferenceField())
    untyped = ListField()
    mapping = DictField()
    by_key = MapField(ReferenceField(Event))
    part = EmbeddedDocumentField(Part)
    parts = EmbeddedDocumentListField(Part)
    nested = DictField()
    dynamic = DynamicField()
    file = FileField()
    number = SequenceField()


class Copy(AnalyticsDocument):
    user = CachedReferenceField(User, fields=["name"])
    meta = {"collection": "copies"}


ALIASES = ("default", "database1", "archive")
MODELS = (User, Event, Near, Far, Part, Holder, Copy)


@pytest.fixture(autouse=True, scope="module")
def holder(shared: Settings) -> None:
    user = User(name="user").save()
    event = Event(name="event", user=user).save()
    Holder(
        event=event,
        as_dbref=event,
        anything=event,
        named=Far(name="far").save(),
        lazy=event,
        lazy_anything=event,
        cached=user,
        events=[event],
        all_named=[Near(name="near").save(), Far.objects.get()],
        all_lazy=[event],
        mixed=[event, user],
        untyped=[event, user],
        mapping={"event": event, "nested": {"user": user}},
        by_key={"event": event},
        part=Part(event=event, anything=event, events=[event]),
        parts=[Part(event=event, anything=user, events=[event])],
        nested={"list": [1], "mapping": {"a": 1}},
        dynamic=[1, {"a": 1}],
    ).save()


READ: dict[str, tuple[Callable[[Holder], Any], Any]] = {
    "reference": (lambda it: it.event.name, "event"),
    "of the referenced": (lambda it: it.event.user.name, "user"),
    "DBRef": (lambda it: it.as_dbref.name, "event"),
    "generic": (lambda it: it.anything.name, "event"),
    "abstract": (lambda it: it.named.name, "far"),
    "lazy": (lambda it: it.lazy.fetch().name, "event"),
    "generic lazy": (lambda it: it.lazy_anything.fetch().name, "event"),
    "cached": (lambda it: it.cached.name, "user"),
    "list": (lambda it: [each.name for each in it.events], ["event"]),
    "list of abstract": (lambda it: [each.name for each in it.all_named], ["near", "far"]),
    "list of lazy": (lambda it: [each.fetch().name for each in it.all_lazy], ["event"]),
    "list of generic": (lambda it: [each.name for each in it.mixed], ["event", "user"]),
    "untyped list": (lambda it: [each.name for each in it.untyped], ["event", "user"]),
    "mapping": (lambda it: it.mapping["event"].name, "event"),
    "nested mapping": (lambda it: it.mapping["nested"]["user"].name, "user"),
    "typed mapping": (lambda it: it.by_key["event"].name, "event"),
    "embedded": (lambda it: it.part.event.name, "event"),
    "embedded generic": (lambda it: it.part.anything.name, "event"),
    "embedded list": (lambda it: [each.name for each in it.part.events], ["event"]),
    "list of embedded": (lambda it: it.parts[0].event.name, "event"),
    "generic in one": (lambda it: it.parts[0].anything.name, "user"),
    "list in one": (lambda it: [each.name for each in it.parts[0].events], ["event"]),
}


def all_read(document: Holder) -> dict[str, Any]:
    return {what: read(document) for what, (read, _) in READ.items()}


EXPECTED = {what: expected for what, (_, expected) in READ.items()}


# Other databases


def test_references_lead_into_the_database_of_the_referenced_model() -> None:
    assert all_read(Holder.objects.get()) == EXPECTED


def test_select_related_finds_all_of_them() -> None:
    assert all_read(Holder.objects.select_related(3)[0]) == EXPECTED
    assert all_read(Holder.objects.get().select_related(3)) == EXPECTED


@pytest.mark.parametrize(
    "aliases", [("default",), ("database1",), ("default", "database1"), ("database1", "default")]
)
def test_references_are_followed_in_a_transaction(aliases: tuple[str, ...]) -> None:
    with db.transaction(*aliases):
        assert all_read(Holder.objects.get()) == EXPECTED


def test_references_follow_the_block_in_which_they_are_read() -> None:
    found, event = Holder.objects.get(), Event.objects.get()
    with db.using(database1="archive"):
        Event(id=event.id, name="archived").save(force_insert=True)
        assert (found.event.name, found.events[0].name) == ("archived", "archived")


def test_what_is_cached_of_a_document_is_kept_in_step_in_other_databases() -> None:
    user = User(name="before").save()
    copied = Copy(user=user).save()
    user.name = "after"
    user.save()
    stored = registry.connection("database1").database["copies"].find_one({"_id": copied.id})
    assert stored["user"]["name"] == "after"
    assert Copy.objects.get().user.name == "after"


# Threads

FIRST_READS: dict[str, Callable[[Holder], Any]] = {
    "reference": lambda it: it.event,
    "of the referenced": lambda it: it.event.user,
    "DBRef": lambda it: it.as_dbref,
    "generic": lambda it: it.anything,
    "abstract": lambda it: it.named,
    "lazy": lambda it: it.lazy,
    "document of a lazy": lambda it: it.lazy.fetch(),
    "document of a generic lazy": lambda it: it.lazy_anything.fetch(),
    "cached": lambda it: it.cached,
    "list": lambda it: it.events,
    "in a list": lambda it: it.events[0],
    "list of lazy": lambda it: it.all_lazy,
    "in a list of lazy": lambda it: it.all_lazy[0].fetch(),
    "list of generic": lambda it: it.mixed,
    "untyped list": lambda it: it.untyped,
    "in an untyped list": lambda it: it.untyped[0],
    "mapping": lambda it: it.mapping,
    "in a mapping": lambda it: it.mapping["event"],
    "deeper in a mapping": lambda it: it.mapping["nested"],
    "typed mapping": lambda it: it.by_key,
    "embedded": lambda it: it.part,
    "reference in one": lambda it: it.part.event,
    "list in one": lambda it: it.part.events,
    "list of embedded": lambda it: it.parts,
    "reference in a list of them": lambda it: it.parts[0].event,
    "list in a list of them": lambda it: it.parts[0].events,
    "nested list": lambda it: it.nested["list"],
    "nested mapping": lambda it: it.nested["mapping"],
    "dynamic": lambda it: it.dynamic,
    "file": lambda it: it.file,
    "number": lambda it: it.number,
}


@pytest.fixture
def threads_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_change_often")
@pytest.mark.parametrize("read", FIRST_READS.values(), ids=FIRST_READS.keys())
def test_all_threads_that_read_a_value_first_get_the_same_object(
    read: Callable[[Holder], Any],
) -> None:
    for _ in range(ROUNDS):
        document = Holder.objects.get()
        ready = threading.Barrier(THREADS)
        found: list[Any] = []

        def first_read(
            document: Holder = document,
            ready: threading.Barrier = ready,
            found: list[Any] = found,
        ) -> None:
            ready.wait()
            found.append(read(document))

        threads = [threading.Thread(target=first_read) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == THREADS
        assert len({id(each) for each in found}) == 1
        assert read(document) is found[0]


def test_a_first_read_that_fails_leaves_the_value_to_the_next(shared: Settings) -> None:
    document = Holder.objects.get()
    db.database1.disconnect()
    with pytest.raises(NotConnectedError):
        _ = document.event
    db.connect_all(shared)
    assert document.event.name == "event"


def test_a_list_of_lazy_references_is_one_object() -> None:
    document = Holder.objects.get()
    held, event = document.all_lazy, Event.objects.get()
    assert document.all_lazy is held
    held.append(event)
    assert len(document.all_lazy) == 2
