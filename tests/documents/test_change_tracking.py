"""Every change of a document is noticed, wherever in it and however it is made; what isn't changed
stays in the database as it is, also what the class doesn't know."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import mongoengine
import pytest
from fresh_databases import model_registry
from mongoengine.base import BaseDict, BaseList
from nested_documents import CHANGES, MODELS, Free, Leaf, Part, Tree, grown, shown, stored

from datalayer import db
from datalayer.documents import Document
from datalayer.settings import Settings

UNKNOWN = {"unknown": [1]}


@pytest.fixture(autouse=True)
def databases(shared: Settings) -> Iterator[None]:
    with model_registry(*MODELS):
        db.connect_all(shared)
        Tree._get_collection().delete_many({})
        Free._get_collection().delete_many({})
        yield


def sorted_lists(data: dict[str, Any]) -> dict[str, Any]:
    """``data`` without what an empty value leaves, and with the sorted list sorted."""
    ranks = sorted(data.get("ranks", []))
    return {key: value for key, value in {**data, "ranks": ranks}.items() if value not in ([], {})}


def from_the_database() -> Tree:
    """A loaded document, with keys at every depth that its classes don't know."""
    grown().save()
    raw = stored(Tree)
    raw.update(UNKNOWN)
    for part in (raw["p"], *raw["ps"], raw["named"]["k"][0], raw["any_part"], raw["ranked"][0]):
        part.update(UNKNOWN)
        for leaf in (part["l"], *part["ls"], part["b"]["k"]):
            leaf.update(UNKNOWN)
    Tree._get_collection().replace_one({}, raw)
    loaded: Tree = Tree.objects.get()
    return loaded


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_written(change: Callable[[Any], Any]) -> None:
    tree = from_the_database()
    change(tree)
    tree.save()
    assert sorted_lists(stored(Tree)) == sorted_lists(shown(tree))
    assert sorted_lists(shown(Tree.objects.get())) == sorted_lists(shown(tree))
    assert tree._get_changed_fields() == []


FREE: dict[str, Callable[[Any], Any]] = {
    "mapping": lambda free: free.notes["a"].update(z=1),
    "list in a mapping": lambda free: free.notes["a"]["b"].append(2),
    "mapping in a list": lambda free: free.rows[0].update(k=5),
    "each of a list": lambda free: [row.update(q=1) for row in free.rows],
    "a new attribute": lambda free: setattr(free, "new", {"p": [1]}),
    "an attribute deleted": lambda free: delattr(free, "rows"),
    "an empty text": lambda free: setattr(free, "word", ""),
    "an empty list": lambda free: setattr(free, "rows", []),
    "None": lambda free: setattr(free, "word", None),
    "an empty text in a mapping": lambda free: free.notes.update(word=""),
    "a list that the class declares": lambda free: free.tags.append("new"),
}


@pytest.mark.parametrize("change", FREE.values(), ids=FREE)
@pytest.mark.parametrize("is_loaded", [False, True], ids=["new", "read"])
def test_a_change_of_a_dynamic_document_is_written(
    change: Callable[[Any], Any], is_loaded: bool
) -> None:
    free = Free(tags=["a"], notes={"a": {"b": [1]}}, rows=[{"k": 1}], word="w").save()
    if is_loaded:
        free = Free.objects.get()
    change(free)
    free.save()
    assert stored(Free) == shown(free)


MINIMAL = {
    "list[i] =": ["t.0"],
    "list in a list": ["grid.1"],
    "mapping in a list": ["r.1.z"],
    "mapping |=": ["o.q"],
    "mapping.update": ["o.x", "o.y"],
    "list in a mapping in a list": ["r.0.in.l"],
    "list in a part's part": ["p.l.s"],
    "list of a part in a list": ["ps.0.s"],
    "mapping in a dynamic field": ["f.a.0.b"],
    "item of a sorted list": ["ranks"],
    "part in a sorted list": ["ranked"],
    "place": ["place"],
}


@pytest.mark.parametrize(("name", "paths"), MINIMAL.items(), ids=MINIMAL)
def test_only_what_changed_is_written(name: str, paths: list[str]) -> None:
    tree = from_the_database()
    CHANGES[name](tree)
    assert tree._get_changed_fields() == paths


NO_CHANGES: dict[str, Callable[[Any], Any]] = {
    "the same item": lambda tree: tree.tags.__setitem__(0, "b"),
    "the same under a key": lambda tree: tree.notes.update(one=1),
    "an equal list": lambda tree: setattr(tree, "tags", ["b", "a"]),
    "the same part": lambda tree: setattr(tree, "part", tree.part),
    "reading": lambda tree: [list(tree.rows), dict(tree.notes), tree.notes | {}, tree.grid[:]],
    "a copy changed": lambda tree: copy.deepcopy(tree.notes)["a"].clear(),
    "a pickled copy changed": lambda tree: pickle.loads(pickle.dumps(tree.grid))[0].append(1),
    "another document's copy changed": lambda tree: Tree(notes=tree.notes).notes["a"].clear(),
}


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_changes_nothing_is_no_change(change: Callable[[Any], Any]) -> None:
    tree = from_the_database()
    before = shown(tree)
    change(tree)
    assert tree._get_changed_fields() == []
    assert shown(tree) == before


FAILING: dict[str, Callable[[Any], Any]] = {
    "pop": lambda tree: tree.tags.pop(99),
    "remove": lambda tree: tree.tags.remove("none"),
    "del": lambda tree: tree.tags.__delitem__(99),
    "set": lambda tree: tree.tags.__setitem__(99, "x"),
    "pop of a mapping": lambda tree: tree.notes.pop("none"),
    "del of a mapping": lambda tree: tree.notes.__delitem__("none"),
}


@pytest.mark.parametrize("change", FAILING.values(), ids=FAILING)
def test_what_fails_is_no_change(change: Callable[[Any], Any]) -> None:
    tree = from_the_database()
    with pytest.raises((IndexError, KeyError, ValueError)):
        change(tree)
    assert tree._get_changed_fields() == []


def test_what_an_interrupted_change_has_done_is_noticed() -> None:
    def items() -> Iterator[str]:
        yield "c"
        raise InterruptedError

    tree = from_the_database()
    with pytest.raises(InterruptedError):
        tree.tags.extend(items())
    assert tree.tags == ["b", "a", "c"]
    assert tree._get_changed_fields() == ["t"]


def test_a_list_given_to_two_documents_is_not_shared() -> None:
    first, second = grown().save(), Tree()
    second.tags = first.tags
    second.notes["rows"] = first.rows
    second.tags.append("second")
    second.notes["rows"][0]["k"] = 9
    assert first.tags == ["b", "a"]
    assert first.rows[0]["k"] == 1
    assert first._get_changed_fields() == []


def test_an_assigned_list_keeps_its_identity_when_it_is_extended() -> None:
    tree = from_the_database()
    held = tree.tags
    tree.tags += ["c"]
    held.append("d")
    tree.save()
    assert stored(Tree)["t"] == ["b", "a", "c", "d"]


def test_a_list_outlives_its_document() -> None:
    grown().save()
    tags, leaf = Tree.objects.get().tags, Tree.objects.get().part.leaf
    gc.collect()
    tags.append("c")
    leaf.notes["x"]["y"] = 2
    assert tags == ["b", "a", "c"]
    assert leaf.notes == {"x": {"y": 2}}


def test_a_pickled_document_notices_its_changes() -> None:
    tree = pickle.loads(pickle.dumps(from_the_database()))
    tree.grid[0].append(2)
    tree.part.leaf.notes["x"]["y"] = 2
    tree.save()
    assert stored(Tree)["grid"][0] == [1, 2]
    assert stored(Tree)["p"]["l"]["o"] == {"x": {"y": 2}}


def test_plain_mongoengine_documents_keep_their_lists() -> None:
    class PlainTree(mongoengine.Document):
        tags = mongoengine.ListField()
        notes = mongoengine.DictField()

    plain = PlainTree(tags=["a"], notes={"k": 1})
    assert (type(plain.tags), type(plain.notes)) == (BaseList, BaseDict)
    tree = Tree(tags=plain.tags)
    tree.tags.append("b")
    assert plain.tags == ["a"]


# Keys that the classes don't know


def test_unknown_keys_survive_a_part_that_is_written_as_a_whole() -> None:
    tree = from_the_database()
    tree.parts.append(Part(number=5))
    tree.part.leaves.append(Leaf(number=5))
    tree.save()
    raw = stored(Tree)
    assert [part.get("unknown") for part in raw["ps"]] == [[1], [1], None]
    assert [leaf.get("unknown") for leaf in raw["p"]["ls"]] == [[1], [1], None]
    assert raw["unknown"] == [1]


def test_unknown_keys_go_along_to_another_collection() -> None:
    tree = from_the_database()
    tree.switch_collection("copies").save()
    copied = Tree._get_db()["copies"].find_one()
    assert copied is not None
    assert copied["unknown"] == [1]
    assert copied == stored(Tree)


# Lists that are shorter in the database


SHORTER: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    "item": ({"t": []}, lambda tree: tree.tags.__setitem__(1, "new")),
    "part": ({"ps": []}, lambda tree: setattr(tree.parts[1], "number", 9)),
    "list in a list": ({"grid": []}, lambda tree: tree.grid[1].append(9)),
    "item of a part's list": ({"p.s": []}, lambda tree: tree.part.scores.__setitem__(1, 9)),
    "item of a list of a part in a list": (
        {"ps.1.s": []},
        lambda tree: tree.parts[1].scores.__setitem__(1, 9),
    ),
    "item in a mapping": ({"o.l": []}, lambda tree: tree.notes["l"][1].append(9)),
}


@pytest.mark.parametrize(("elsewhere", "change"), SHORTER.values(), ids=SHORTER)
def test_a_list_that_got_shorter_is_written_as_a_whole(
    elsewhere: dict[str, Any], change: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    tree = grown().save()
    Tree._get_collection().update_one({}, {"$set": elsewhere})
    change(tree)
    tree.lists["k"] = [5]
    with caplog.at_level(logging.WARNING, "datalayer.documents"):
        tree.save()
    assert sorted_lists(stored(Tree)) == sorted_lists(shown(tree))
    told = [each for each in caplog.records if each.name == "datalayer.documents"]
    assert [record.__dict__["event"] for record in told] == ["list_written_whole"]


def test_a_default_list_that_was_never_stored_is_written_as_a_list() -> None:
    class Preset(Document):
        numbers = mongoengine.ListField(mongoengine.IntField(), default=lambda: [1, 2, 3])

    Preset._get_collection().insert_one({})
    preset = Preset.objects.get()
    preset.numbers[1] = 9
    preset.save()
    assert stored(Preset)["numbers"] == [1, 9, 3]


def test_changes_of_different_items_go_together() -> None:
    tree = grown().save()
    Tree._get_collection().update_one({}, {"$set": {"t.0": "theirs", "ps.1.n": 7}})
    tree.tags[1] = "ours"
    tree.parts[1].scores[0] = 9
    tree.save()
    assert stored(Tree)["t"] == ["theirs", "ours"]
    assert (stored(Tree)["ps"][1]["n"], stored(Tree)["ps"][1]["s"]) == (7, [9, 2])


def test_a_saved_part_has_nothing_to_save_at_any_depth() -> None:
    tree = from_the_database()
    tree.part = Part(number=1, leaf=Leaf(notes={"x": 1}))
    tree.part.leaf.notes["y"] = 2
    tree.save()
    assert tree._get_changed_fields() == []
    assert tree.part.leaf._changed_fields == []
