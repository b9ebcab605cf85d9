"""What merely looks at a document or at what it holds: lazy references stay unfetched, and values
that wait stay unconverted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import mongoengine as me
import pytest
from bson import ObjectId
from fresh_databases import connected, model_registry, settings_for
from observing import SentCommands, commands_sent

from datalayer import db
from datalayer.documents import BusinessDocument, EmbeddedDocument
from datalayer.embedded import EmbeddedMongo

ITEMS = 20
NAMES = [str(number) for number in range(ITEMS)]


class Thing(BusinessDocument):
    name = me.StringField()

    meta = {"collection": "things"}


def lazy() -> Any:
    return me.LazyReferenceField(Thing, passthrough=True)


def lazy_of_any() -> Any:
    return me.GenericLazyReferenceField(passthrough=True)


class Corner(EmbeddedDocument):
    one = lazy()
    listed = me.ListField(lazy())
    mapped = me.MapField(lazy())
    number = me.IntField()
    texts = me.ListField(me.StringField())


class Shelf(BusinessDocument):
    one = lazy()
    listed = me.ListField(lazy())
    sorted_by_key = me.SortedListField(lazy())
    mapped = me.MapField(lazy())
    any_one = lazy_of_any()
    any_listed = me.ListField(lazy_of_any())
    any_mapped = me.MapField(lazy_of_any())
    nested = me.ListField(me.ListField(lazy()))
    lists = me.MapField(me.ListField(lazy()))
    corner = me.EmbeddedDocumentField(Corner)
    corners = me.EmbeddedDocumentListField(Corner)
    prices = me.ListField(me.DecimalField())
    notes = me.DictField()
    price = me.DecimalField()

    meta = {"collection": "shelves"}


@pytest.fixture(scope="module")
def sent(mongod: EmbeddedMongo) -> Iterator[SentCommands]:
    models = model_registry(Thing, Corner, Shelf)
    with commands_sent() as sent, models, connected(settings_for(mongod)):
        store_one_shelf()
        yield sent


def store_one_shelf() -> None:
    things = [Thing(name=name).save() for name in NAMES]
    by_name = dict(zip(NAMES, things, strict=True))
    corner = {"one": things[0], "listed": things, "mapped": by_name, "number": 1, "texts": ["a"]}
    Shelf(
        one=things[0],
        listed=things,
        sorted_by_key=things,
        mapped=by_name,
        any_one=things[0],
        any_listed=things,
        any_mapped=by_name,
        nested=[things[:5], things[5:]],
        lists={"first": things[:5]},
        corner=Corner(**corner),
        corners=[Corner(**corner), Corner(**corner)],
        prices=["1.50"],
        notes={"a": {"b": 1}},
        price="2.50",
    ).save()


@pytest.fixture
def shelf(sent: SentCommands) -> Shelf:
    """As it was loaded: nothing of it was read yet, and nothing was sent since."""
    loaded: Shelf = Shelf.objects.get()
    sent.clear()
    return loaded


# Lazy references

Look = Callable[[Any], Any]
LOOKS: dict[str, Look] = {
    "attribute": lambda it: it.one,
    "attribute of any class": lambda it: it.any_one,
    "list": lambda it: it.listed,
    "sorted list": lambda it: it.sorted_by_key,
    "map": lambda it: it.mapped,
    "list of any class": lambda it: it.any_listed,
    "list in a list": lambda it: it.nested[0][0],
    "list in a map": lambda it: [*it.lists["first"]],
    "length": lambda it: len(it.listed),
    "truth": lambda it: bool(it.listed) and bool(it.mapped),
    "truth of each": lambda it: all(it.listed) and all(it.mapped.values()),
    "index": lambda it: it.listed[0],
    "slice": lambda it: it.listed[2:4],
    "iteration": lambda it: [*it.listed],
    "reversed": lambda it: [*reversed(it.listed)],
    "values": lambda it: [*it.mapped.values()],
    "items": lambda it: [*it.mapped.items()],
    "key": lambda it: (it.mapped["3"], it.mapped.get("4"), it.mapped["3"]),
    "read twice": lambda it: (it.listed, it.listed, it.mapped, it.mapped),
    "contained": lambda it: it.listed[0] in it.listed,
    "equal": lambda it: it.listed == it.listed and it.mapped == it.mapped,
    "repr": lambda it: (repr(it.listed), repr(it.mapped), repr(it.nested)),
    "copy": lambda it: (copy.copy(it.listed), it.listed.copy(), it.mapped.copy()),
    "deep copy": lambda it: (copy.deepcopy(it.listed), copy.deepcopy(it.mapped)),
    "in a part": lambda it: (it.corner.one, it.corner.listed[0], it.corner.mapped["1"]),
    "in a list of parts": lambda it: [each.listed[0] for each in it.corners],
    "parts found by one": lambda it: it.corners.filter(one=it.one),
    "ids": lambda it: [each.pk for each in it.listed],
    "document's truth": bool,
    "document's length": len,
    "document copied": copy.copy,
    "document deeply copied": copy.deepcopy,
    "item": lambda it: it["listed"],
    "name contained": lambda it: "listed" in it,
    "to_mongo": lambda it: it.to_mongo(),
    "to_json": lambda it: it.to_json(),
    "validate": lambda it: (it.listed, it.mapped, it.nested, it.corner.listed, it.validate()),
    "append": lambda it: it.listed.append(it.listed[0]),
    "insert, extend": lambda it: (it.listed.insert(0, it.one), it.listed.extend(it.nested[0])),
    "replace": lambda it: (it.listed.__setitem__(0, it.one), it.mapped.__setitem__("0", it.one)),
    "replace within": lambda it: it.lists["first"].__setitem__(0, it.one),
    "remove": lambda it: (it.listed.remove(it.listed[1]), it.listed.pop(), it.mapped.pop("2")),
    "assign": lambda it: (setattr(it, "listed", [*it.listed]), setattr(it, "one", it.listed[3])),
    "new document": lambda it: Shelf(one=it.one, listed=[*it.listed], mapped=dict(it.mapped)),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looking_at_lazy_references_fetches_nothing(
    shelf: Shelf, sent: SentCommands, look: Look
) -> None:
    look(shelf)
    shelf._get_changed_fields()
    shelf._delta()
    assert sent.names == []


def test_in_a_transaction_neither(shelf: Shelf, sent: SentCommands) -> None:
    @db.transactional()
    def read(reference: Any) -> None:
        shelf.listed.append(reference)
        shelf.mapped["new"] = reference
        shelf.corner.listed.pop()

    first = shelf.listed[0]
    read(first)
    shelf.listed.append(first)
    assert "find" not in sent.names


def test_saving_changed_lists_of_them_sends_one_update(shelf: Shelf, sent: SentCommands) -> None:
    shelf.listed.append(shelf.listed.pop(0))
    shelf.mapped["0"] = shelf.mapped["1"]
    shelf.corner.listed[0] = shelf.one
    shelf.save()
    assert sent.names == ["update"]


def test_an_attribute_of_the_document_itself_fetches_it_once(
    shelf: Shelf, sent: SentCommands
) -> None:
    reference: Any = shelf.listed[3]
    assert (reference.name, reference.name) == (Thing.objects.get(pk=reference.pk).name,) * 2
    assert sent.names == ["find", "find"]  # the second is the test's own


def test_documents_in_lists_and_maps_know_their_owner(shelf: Shelf) -> None:
    shelf.corners[1].number = 5
    shelf.corner.number = 6
    assert set(shelf._get_changed_fields()) == {"corners.1.number", "corner.number"}


# Values that wait


def waiting(document: Any) -> set[str]:
    """The names of the values that are still to be converted."""
    data = document._data
    return {name for name in data.pending if name in data.converters and data.waits(name)}


GLANCES: dict[str, Look] = {
    "truth": bool,
    "negation": lambda it: not it,
    "length": len,
    "repr": repr,
    "str": str,
    "equal": lambda it: it == Shelf(pk=it.pk),
    "unequal": lambda it: it != Shelf(),
    "hash": hash,
    "names": list,
    "no such name": lambda it: "nothing" in it,
    "no such attribute": lambda it: hasattr(it, "nothing"),
    "dir": dir,
    "key": lambda it: it.pk,
    "reference": lambda it: it.to_dbref(),
    "in a list": lambda it: it in [Shelf(pk=it.pk)],
    "filtered": lambda it: [*filter(None, [it])],
    "length of the data": lambda it: len(it._data),
    "truth of the data": lambda it: bool(it._data),
    "changes": lambda it: (it._get_changed_fields(), it._delta()),
    "saved without a change": lambda it: it.save(),
}


@pytest.mark.parametrize("glance", GLANCES.values(), ids=GLANCES)
def test_a_glance_at_a_document_converts_nothing(shelf: Shelf, glance: Look) -> None:
    before = waiting(shelf)
    assert {"corner", "corners", "listed", "notes", "price", "prices"} <= before
    glance(shelf)
    assert waiting(shelf) == before


AT_PARTS: dict[str, Look] = {
    "truth": bool,
    "length": len,
    "repr": repr,
    "names": list,
    "changes": lambda it: it._get_changed_fields(),
}


@pytest.mark.parametrize("glance", AT_PARTS.values(), ids=AT_PARTS)
def test_a_glance_at_an_embedded_document_neither(shelf: Shelf, glance: Look) -> None:
    corner = shelf.corner
    before = waiting(corner)
    assert {"listed", "mapped", "texts"} <= before
    glance(corner)
    assert waiting(corner) == before


def test_a_document_loaded_in_part_is_as_true_and_as_long(
    shelf: Shelf, sent: SentCommands
) -> None:
    part = Shelf.objects.only("notes", "price").get()
    sent.clear()
    assert part
    assert len(part) == len(part._data.keys())
    assert sent.names == []


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "read"])
def test_a_length_counts_what_is_there(shelf: Shelf, is_read: bool) -> None:
    if is_read:
        pending = shelf._data.pending.copy()
        assert shelf.notes
        shelf.price = None
        shelf._data.pending = pending  # as of two threads that read it first
    assert len(shelf) == len({*dict.keys(shelf._data), *shelf._data.pending})
    length = len(shelf)
    shelf._data.load_all()
    assert len(shelf) == length


def test_an_empty_part_is_as_false_as_in_mongoengine() -> None:
    class Nothing(EmbeddedDocument):
        pass

    class StockNothing(me.EmbeddedDocument):
        pass

    assert bool(Nothing()) == bool(StockNothing())
    assert bool(Thing(pk=ObjectId()))
